import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurious.errors import SpecError
from spurious.specs import TaskSpec
from spurious.tasks import load_task
from spurious.tasks.calculation import build
from spurious.verify import verify

TOKEN = re.compile(r"\\left\(|\\right\)|\\frac\{(\d+)\}\{(\d+)\}|(\d+)(?:\^(\d))?|\+|-|\\times|\\div")


def latex_of(question):
    return question.rpartition(": ")[2].strip("$")


def evaluate(latex):
    """An independent reading: LaTeX into a Python expression over Fraction, which Python's own precedence decides."""
    python, end = "", 0
    for match in TOKEN.finditer(latex):
        assert latex[end : match.start()].strip() == "", f"unread text in {latex}"
        end = match.end()
        top, bottom, base, power = match.groups()
        if top:
            python += f"Fraction({top},{bottom})"
        elif base:
            python += f"Fraction({base})" + (f"**{power}" if power else "")
        else:
            python += {r"\left(": "(", r"\right)": ")", r"\times": "*", r"\div": "/"}.get(match[0], match[0])
    assert end == len(latex)
    return eval(python, {"Fraction": Fraction})


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(0, 2**40), st.sampled_from(["train", "test"]))
def test_answers_are_what_python_computes(steps, seed, split):
    for problem in build(steps=steps, size=5, seed=seed, split=split):
        value = evaluate(latex_of(problem.question))
        assert problem.answer == str(value)
        assert problem.metadata == {"steps": steps}
        assert problem.kind == f"steps {steps}"


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 20), st.integers(0, 2**40))
def test_the_number_of_operations_is_the_number_of_steps(steps, seed):
    (problem,) = build(steps=steps, size=1, seed=seed)
    bare = re.sub(r"\\(left|right|frac\{\d+\}\{\d+\})", "", latex_of(problem.question))
    assert len(re.findall(r"\+|-|\\times|\\div", bare)) == steps


def test_operands_stay_within_bounds():
    for problem in build(steps=3, size=300):
        assert all(int(number) <= 100 for number in re.findall(r"(?<!\^)\d+", latex_of(problem.question)))


def test_a_smaller_size_gives_the_first_of_a_larger_one():
    assert build(size=20, seed=3) == build(size=60, seed=3)[:20]


def test_seeds_give_different_problems():
    assert not {p.id for p in build(size=50, seed=1)} & {p.id for p in build(size=50, seed=2)}


def test_questions_are_distinct():
    problems = build(steps=1, size=500, operands=("integer",), operations=("+",))
    assert len({p.question for p in problems}) == 500


def test_splits_share_no_rearrangement_of_an_expression():
    def parts(problem):
        return tuple(sorted(re.findall(r"\\frac\{\d+\}\{\d+\}|\d+\^\d|\d+|\+|-|\\times|\\div", problem.question)))

    args = {"steps": 1, "operands": ("integer",), "operations": ("+",)}
    train = {parts(p) for seed in range(3) for p in build(size=700, seed=seed, split="train", **args)}
    test = {parts(p) for seed in range(3) for p in build(size=300, seed=seed, split="test", **args)}
    assert len(train) > 500
    assert not train & test


def test_several_numbers_of_steps_take_turns():
    assert [p.metadata["steps"] for p in build(steps=(5, 10), size=5)] == [5, 10, 5, 10, 5]


def test_only_the_operands_and_operations_asked_for_appear():
    for problem in build(steps=4, size=50, operands=("square",), operations=("*",)):
        assert re.fullmatch(r"(\\left\(|\\right\)|\d+\^2|\\times| )+", latex_of(problem.question))


def test_more_problems_than_exist_are_refused():
    with pytest.raises(SpecError, match="size 9000 is too much"):
        build(steps=1, size=9000, operands=("integer",), operations=("+",))


def test_the_grader_accepts_the_longest_answers():
    for problem in build(steps=20, size=40, seed=5):
        assert verify(rf"\boxed{{{problem.answer}}}", problem.answer, "strict").correct
        assert not verify(rf"\boxed{{{problem.answer}7}}", problem.answer, "strict").correct


def test_it_is_a_task_with_its_arguments_on_record():
    task = load_task(TaskSpec(name="calculation", args={"steps": [1, 2], "size": "6"}))
    assert len(task.problems) == 6
    assert task.source["generator"] == "calculation"
    assert task.source["split"] == "train"
    assert task.source["seed"] == 0
