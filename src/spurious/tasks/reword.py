"""The same problem in words that no corpus holds (Shao et al. 2025, figure 5: the base-six question told as a story).

Each wording says the whole problem, so the true answer stays. Chains and expressions of `calculation` are worded here;
for other problems a file of pairs says how, see `read_pairs`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spurious.errors import DataError
from spurious.tasks import chain, expression
from spurious.tasks.base import restated
from spurious.tasks.chain import Chain
from spurious.tasks.expression import Expression, Number
from spurious.tasks.files import read_rows
from spurious.tasks.perturb import calculation_latex
from spurious.types import Problem

NEW_COLUMNS = ("new_question", "reworded", "rewording")
"""Columns of a file of pairs that hold the new words; the first one there counts."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _orders(asked: Chain) -> str:
    words = {"+": "Add {}.", "-": "Take away {}.", "*": "Multiply by {}."}
    told = " ".join(words[operator].format(n) for operator, n in asked.operations)
    rule = "Keep only the last digit each time, and borrow a ten where there are too few."
    return f"Take {asked.start} {asked.theme}. {told} {rule} What is left?"


def _clock(asked: Chain) -> str:
    words = {"+": "then {} more", "-": "then {} fewer", "*": "then {} times as many"}
    told = ", ".join(words[operator].format(n) for operator, n in asked.operations)
    return f"In base ten clock arithmetic there are {asked.start} {asked.theme}, {told}. How many are there in the end?"


def _wheel(asked: Chain) -> str:
    words = {"+": "goes up by {}", "-": "goes down by {}", "*": "is multiplied by {}"}
    told = ", ".join(words[operator].format(_DIGITS[n]) for operator, n in asked.operations)
    return (
        f"A wheel that counts {asked.theme} has only the digits zero to nine and shows {_DIGITS[asked.start]}. "
        f"It {told}. Which digit does it show?"
    )


def _spoken(tree: Expression) -> str:
    return f"Work out {_aloud(tree)}. Say it as a whole number or as a fraction that cannot be reduced."


def _nested(tree: Expression) -> str:
    return f"Which integer, or which reduced fraction, is {_described(tree)}?"


CHAIN_WORDINGS: dict[str, Callable[[Chain], str]] = {"orders": _orders, "clock": _clock, "wheel": _wheel}
CALCULATION_WORDINGS: dict[str, Callable[[Expression], str]] = {"spoken": _spoken, "nested": _nested}


def rewordings(problem: Problem) -> dict[str, Problem]:
    """The problem in each wording that there is for it, by the wording's name; none for other tasks' problems.

    Raises DataError for an expression of `calculation` that cannot be read.
    """
    questions: dict[str, str] = {}
    if (asked := chain.read(problem.question)) is not None:
        questions = {name: word(asked) for name, word in CHAIN_WORDINGS.items()}
    elif (latex := calculation_latex(problem.question)) is not None:
        tree = expression.read(latex)
        questions = {name: word(tree) for name, word in CALCULATION_WORDINGS.items()}
    return {name: restated(problem, question) for name, question in questions.items()}


def read_pairs(path: Path, problems: Sequence[Problem]) -> dict[str, Problem]:
    """A file of pairs: the id of each problem that it rewords -> that problem in its new words, the answer unchanged.

    Each row names a problem by `id` or by `question`, and holds its new words in `new_question`.

    Raises DataError, naming file and row, for a row without these, and a problem that is not there or comes twice.
    """
    by_id = {problem.id: problem for problem in problems}
    by_question = {problem.question.strip(): problem for problem in problems}
    found: dict[str, Problem] = {}
    for number, row in read_rows(path):
        where = f"{path}, row {number}"
        if (identity := row.get("id")) is not None:
            problem = by_id.get(str(identity))
        else:
            problem = by_question.get(_cell(row, ("question",), where).strip())
        if problem is None:
            raise DataError(
                f"{where}: no problem of the task has {'this id' if identity is not None else 'this question'}"
            )
        if problem.id in found:
            raise DataError(f"{where}: problem {problem.id} has been reworded by an earlier row")
        found[problem.id] = restated(problem, _cell(row, NEW_COLUMNS, where))
    return found


def _cell(row: Mapping[str, Any], columns: Sequence[str], where: str) -> str:
    name = next((name for name in columns if name in row), None)
    if name is None:
        raise DataError(f"{where}: no column {columns[0]!r}; it has {', '.join(row)}")
    if not isinstance(row[name], str) or not row[name].strip():
        raise DataError(f"{where}, column {name!r}: not a text, or an empty one")
    return str(row[name])


def _aloud(tree: Expression, *, inside: bool = False) -> str:
    """Left to right with brackets, operators as words: (3 plus 4 squared) times 2/5."""
    if isinstance(tree, Number):
        forms = {"integer": "{}", "fraction": "{}/{}", "square": "{} squared", "cube": "{} cubed"}
        return forms[tree.shape].format(*tree.parts)
    words = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
    told = f"{_aloud(tree.left, inside=True)} {words[tree.operator]} {_aloud(tree.right, inside=True)}"
    return f"({told})" if inside else told


def _described(tree: Expression) -> str:
    """From the outside in: the product of [the sum of 3 and the square of 4] and 2 over 5."""
    if isinstance(tree, Number):
        forms = {"integer": "{}", "fraction": "{} over {}", "square": "the square of {}", "cube": "the cube of {}"}
        return forms[tree.shape].format(*tree.parts)
    words = {"+": "the sum of", "-": "the difference of", "*": "the product of", "/": "the quotient of"}
    left, right = (
        part if isinstance(side, Number) else f"[{part}]"
        for side, part in ((tree.left, _described(tree.left)), (tree.right, _described(tree.right)))
    )
    return f"{words[tree.operator]} {left} and {right}"
