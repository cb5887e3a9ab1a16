import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.tasks import calculation, chain
from spurious.tasks.base import make_problem
from spurious.tasks.expression import parts, read, value
from spurious.tasks.perturb import calculation_latex, perturb
from spurious.verify import verify


def asked(question, answer="7"):
    return make_problem(question, answer, "math500", "algebra", file="m.json", row=4)


def shape(question):
    return re.sub(r"\d", "d", question)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_chain_keeps_theme_operators_and_split_and_every_digit_changes(steps, split):
    for problem in chain.build(steps=steps, size=100, seed=2, split=split):
        changed = perturb(problem, 0)
        assert changed is not None
        assert changed.exact
        old, new = chain.read(problem.question), chain.read(changed.problem.question)
        assert old is not None
        assert new is not None
        assert (new.theme, new.split) == (old.theme, split)
        assert [op for op, _ in new.operations] == [op for op, _ in old.operations]
        assert new.start != old.start
        assert all(a != b for (_, a), (_, b) in zip(old.operations, new.operations, strict=True))
        assert changed.problem == new.problem, "the answer and the id are those that the generator gives"


def test_every_chain_reads_back():
    for problem in chain.build(steps=6, size=200):
        found = chain.read(problem.question)
        assert found is not None
        assert found.problem == problem
    for other in ("", "Count socks left to right, mod ten: 3+4=?", "Count coins left to right, mod ten: 3+0=?"):
        assert chain.read(other) is None


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_an_expression_keeps_its_shape_and_its_answer_is_recomputed(steps):
    for problem in calculation.build(steps=steps, size=100, seed=1, split="test"):
        changed = perturb(problem, 0)
        assert changed is not None
        assert changed.exact
        latex, other = calculation_latex(problem.question), calculation_latex(changed.problem.question)
        assert latex is not None
        assert other is not None
        assert re.sub(r"(?<!\^)\b\d+", "n", latex) == re.sub(r"(?<!\^)\b\d+", "n", other)
        numbers = [re.findall(r"(?<!\^)\b\d+", text) for text in (latex, other)]
        assert all(a != b for a, b in zip(*numbers, strict=True))
        assert all(int(n) <= calculation.LARGEST for n in numbers[1])
        assert calculation.split_of(parts(read(other))) == "test"
        assert verify(rf"\boxed{{{changed.problem.answer}}}", str(value(read(other)))).correct


def test_the_choice_is_keyed_by_seed_problem_and_copy():
    problem = chain.build(size=1)[0]
    questions = [perturb(problem, seed, copy).problem.question for seed in (0, 1) for copy in range(20)]  # type: ignore[union-attr]
    assert len(set(questions)) == 40
    assert questions == [perturb(problem, seed, copy).problem.question for seed in (0, 1) for copy in range(20)]  # type: ignore[union-attr]


@given(st.integers(0, 10**6))
def test_one_integer_of_a_question_changes_and_keeps_its_length(seed):
    question = "In 1999 there were 1,000 coins and 0.05 kg in $x^{12} + y_1 + z^2$; [asy] draw(3,4); [/asy] use base 6."
    changed = perturb(asked(question), seed)
    assert changed is not None
    assert not changed.exact
    new = changed.problem.question
    assert new != question
    assert shape(new) == shape(question)
    for kept in ("x^{12}", "y_1", "z^2", "draw(3,4)"):
        assert kept in new
    assert sum(a != b for a, b in zip(re.findall(r"\d+", question), re.findall(r"\d+", new), strict=True)) == 1


def test_no_new_number_starts_with_a_zero():
    firsts = {perturb(asked("What is 10?"), seed).problem.question[8] for seed in range(300)}  # type: ignore[union-attr]
    assert firsts == set("123456789")


def test_the_old_answer_stays_where_the_new_one_is_unknown_and_so_do_kind_and_place():
    problem = asked("What is 12 + x?")
    changed = perturb(problem, 0)
    assert changed is not None
    assert (changed.problem.answer, changed.problem.kind, changed.problem.metadata) == (
        "7",
        "algebra",
        {"file": "m.json", "row": 4},
    )
    assert changed.problem.id != problem.id


@pytest.mark.parametrize("question", ["What is x?", "Simplify $x^2$.", "[asy] draw(3,4);"])
def test_a_question_without_a_number_has_no_other_version(question):
    assert perturb(asked(question), 0) is None
