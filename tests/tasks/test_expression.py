from fractions import Fraction

import pytest

from spurious.errors import DataError
from spurious.tasks import calculation
from spurious.tasks.expression import Number, Operation, parts, read, value
from spurious.tasks.perturb import calculation_latex


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("7", "7"),
        (r"2 + 3 \times 4", "14"),
        (r"\left(2 + 3\right) \times 4", "20"),
        (r"10 - 3 - 2", "5"),
        (r"2 \div 3 \div 5", "2/15"),
        (r"\frac{1}{2} - 3^2", "-17/2"),
        (r"2^3 \div \left(7 - 5^2\right)", "-4/9"),
    ],
)
def test_values_by_hand(latex, expected):
    assert value(read(latex)) == Fraction(expected)


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_problem_reads_back_to_its_answer_and_its_split(steps, split):
    for problem in calculation.build(steps=steps, size=150, seed=3, split=split):
        tree = read(calculation_latex(problem.question) or "")
        assert str(value(tree)) == problem.answer
        assert calculation.split_of(parts(tree)) == split


def test_the_tree_says_what_is_written():
    assert read(r"\frac{3}{4} \times 5^2") == Operation(Number("fraction", (3, 4)), "*", Number("square", (5,)))


@pytest.mark.parametrize(
    "latex",
    [
        "",
        "2 +",
        "+ 2",
        "2 3",
        r"\left(2",
        r"2\right)",
        "2^4",
        "x",
        r"\frac{1}{x}",
        "2; import os",
        "9" * 10,
        "1 + " * 2000,
        r"\left(" * 100 + "1" + r"\right)" * 100,
    ],
)
def test_anything_else_is_refused(latex):
    with pytest.raises(DataError):
        read(latex)


def test_a_zero_below_is_the_callers_to_handle():
    with pytest.raises(ZeroDivisionError):
        value(read(r"\frac{1}{0}"))
    with pytest.raises(ZeroDivisionError):
        value(read(r"1 \div \left(3 - 3\right)"))
