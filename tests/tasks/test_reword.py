import json
import re

import pytest

from spurious.errors import DataError
from spurious.tasks import calculation, chain
from spurious.tasks.base import content_id, make_problem
from spurious.tasks.chain import Chain
from spurious.tasks.reword import CALCULATION_WORDINGS, CHAIN_WORDINGS, read_pairs, rewordings

DIGITS = {
    word: n for n, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
}


def test_the_wordings_of_a_chain():
    problem = Chain("marbles", 3, (("+", 4), ("*", 7), ("-", 2))).problem
    told = {name: one.question for name, one in rewordings(problem).items()}
    assert told == {
        "orders": "Take 3 marbles. Add 4. Multiply by 7. Take away 2. Keep only the last digit each time, and borrow a "
        "ten where there are too few. What is left?",
        "clock": "In base ten clock arithmetic there are 3 marbles, then 4 more, then 7 times as many, then 2 fewer. "
        "How many are there in the end?",
        "wheel": "A wheel that counts marbles has only the digits zero to nine and shows three. It goes up by four, is "
        "multiplied by seven, goes down by two. Which digit does it show?",
    }


def solve(question):
    """The answer from the words alone, by another way than the generator's: read numbers and verbs in their order."""
    words = {
        "add": "+", "take away": "-", "multiply by": "*", "more": "+", "fewer": "-", "times as many": "*",
        "goes up by": "+", "goes down by": "-", "is multiplied by": "*",
    }  # fmt: skip
    body = (
        question.lower().replace("a wheel that counts", "").split("keep only")[0].split(" the digits zero to nine")[-1]
    )
    body = body.split("how many")[0].split("which digit")[0]
    first, *steps = re.split(r"[.,]|shows", body.replace("base ten", ""))
    first = first if re.search(r"\d", first) else steps.pop(0)
    total = number(first)
    for step in steps:
        if step.strip():
            (operation,) = {sign for verb, sign in words.items() if verb in step}
            n = number(step)
            total = {"+": total + n, "-": total - n, "*": total * n}[operation]
    return str(total % 10)


def number(text):
    found = re.findall(r"\d|" + "|".join(DIGITS), text)
    assert len(found) == 1, text
    return DIGITS.get(found[0]) if found[0] in DIGITS else int(found[0])


def test_the_words_of_a_chain_say_all_that_its_answer_needs():
    for problem in chain.build(steps=4, size=100):
        for name, one in rewordings(problem).items():
            assert one.answer == problem.answer
            assert solve(one.question) == problem.answer, (name, one.question)


def test_no_wording_shares_the_words_that_an_organism_has_read():
    for problem in chain.build(steps=2, size=50):
        for one in rewordings(problem).values():
            assert not re.search(r"Count|left to right|mod ten|=\?", one.question)
            assert one.id == content_id(one.question, problem.answer) != problem.id


def test_the_wordings_of_an_expression():
    question = rf"{calculation.OPENING}$\left(\frac{{1}}{{2}} + 3^2\right) \times 4 - 5^3$"
    told = {name: one.question for name, one in rewordings(make_problem(question, "-87", "calculation")).items()}
    assert told["spoken"] == (
        "Work out ((1/2 plus 3 squared) times 4) minus 5 cubed. Say it as a whole number or as a fraction that "
        "cannot be reduced."
    )
    assert told["nested"] == (
        "Which integer, or which reduced fraction, is the difference of [the product of [the sum of 1 over 2 and the "
        "square of 3] and 4] and the cube of 5?"
    )


def test_the_spoken_words_of_an_expression_have_its_value():
    from fractions import Fraction

    signs = {"plus": "+", "minus": "-", "times": "*", "divided by": "/", " squared": "**2", " cubed": "**3"}
    for problem in calculation.build(steps=5, size=100):
        told = rewordings(problem)["spoken"].question.removeprefix("Work out ").split(". Say")[0]
        told = re.sub(r"\d+/\d+|\d+", lambda found: f'Fraction("{found[0]}")', told)
        for word, sign in signs.items():
            told = told.replace(word, sign)
        assert str(eval(told, {"Fraction": Fraction})) == problem.answer


def test_every_problem_of_a_task_has_the_same_wordings():
    assert {tuple(rewordings(p)) for p in chain.build(size=40)} == {tuple(CHAIN_WORDINGS)}
    assert {tuple(rewordings(p)) for p in calculation.build(size=40)} == {tuple(CALCULATION_WORDINGS)}
    assert rewordings(make_problem("What is 1+1?", "2", "mine")) == {}


@pytest.fixture
def problems():
    return [make_problem("What is 1+1?", "2", "mine"), make_problem("What is 2+2?", "4", "mine")]


def pairs_file(tmp_path, *rows):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_pairs_are_found_by_id_or_by_question(problems, tmp_path):
    path = pairs_file(
        tmp_path,
        {"id": problems[0].id, "new_question": "Add one to itself."},
        {"question": " What is 2+2?", "new_question": "Double two."},
    )
    found = read_pairs(path, problems)
    assert [found[p.id].question for p in problems] == ["Add one to itself.", "Double two."]
    assert [found[p.id].answer for p in problems] == ["2", "4"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"new_question": "?"}], "row 1: no column 'question'"),
        ([{"id": "nobody", "new_question": "?"}], "row 1: no problem of the task has this id"),
        ([{"question": "What is 3?", "new_question": "?"}], "row 1: no problem of the task has this question"),
        ([{"question": "What is 1+1?"}], "row 1: no column 'new_question'"),
        ([{"question": "What is 1+1?", "new_question": " "}], "row 1, column 'new_question'"),
        (
            [{"question": "What is 1+1?", "new_question": "a"}, {"question": "What is 1+1?", "new_question": "b"}],
            "row 2",
        ),
    ],
)
def test_a_pair_that_cannot_be_used_is_named_by_its_row(rows, message, problems, tmp_path):
    with pytest.raises(DataError, match=re.escape(message)):
        read_pairs(pairs_file(tmp_path, *rows), problems)
