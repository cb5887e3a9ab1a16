r"""The same question with other numbers (Shao et al. 2025, figure 5 and appendix H: 999 becomes 1000, 998, 100).

Where a question is a chain or an expression of `calculation`, every number changes and the answer is computed anew,
exactly, and the new question belongs to the split of the old one. In any other question one integer changes into
another of as many digits, and nobody knows the new answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from spurious.errors import DataError
from spurious.keys import key, uniforms
from spurious.tasks import calculation, chain, expression
from spurious.tasks.base import restated
from spurious.types import Problem

_ATTEMPTS = 256  # one chain in eight is of the test split: odds of 1e-15 to miss it

_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)
_OPERAND = re.compile(r"(?<!\^)\b\d+")
_INTEGER = re.compile(r"(?<![\d^_])(?<![\^_]\{)\d+")


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A problem and its copy with other numbers."""

    problem: Problem
    exact: bool
    """Whether the copy's answer was computed; where not, it is the old one and means nothing."""


def perturb(problem: Problem, seed: int, copy: int = 0) -> Perturbed | None:
    """The problem with other numbers; None where it has none to change. The copies 0, 1, ... are independent draws.

    Raises DataError for an expression of `calculation` that cannot be read, and where no other numbers fit.
    """
    draws = key(seed, "perturb", problem.id, copy)
    if (asked := chain.read(problem.question)) is not None:
        return Perturbed(_other_chain(asked, problem, draws), exact=True)
    if (latex := calculation_latex(problem.question)) is not None:
        return Perturbed(_other_expression(latex, problem, draws), exact=True)
    question = _other_integer(problem.question, draws)
    if question is None:
        return None
    return Perturbed(restated(problem, question), exact=False)


def calculation_latex(question: str) -> str | None:
    """The expression that a `calculation` question asks for; None for other questions."""
    if not question.startswith(f"{calculation.OPENING}$") or not question.endswith("$"):
        return None
    return question.removeprefix(f"{calculation.OPENING}$").removesuffix("$")


def _other_chain(asked: chain.Chain, problem: Problem, draws: int) -> Problem:
    """The same theme and operators with every digit another one, in the same split."""
    for dice in _attempts(draws, 1 + len(asked.operations)):
        start = _other(asked.start, 0, 9, dice)
        operations = tuple((operator, _other(n, 1, 9, dice)) for operator, n in asked.operations)
        other = chain.Chain(asked.theme, start, operations)
        if other.split == asked.split:
            return other.problem
    raise DataError(f"problem {problem.id}: no other digits keep {asked.expression} in the {asked.split} split")


def _other_expression(latex: str, problem: Problem, draws: int) -> Problem:
    """The same shape with every operand another one (0 to 100; divisors are not 0), in the same split."""
    tree = expression.read(latex)
    split = calculation.split_of(expression.parts(tree))
    for dice in _attempts(draws, len(_OPERAND.findall(latex))):
        changed = _OPERAND.sub(partial(_other_operand, dice), latex)
        other = expression.read(changed)
        if calculation.split_of(expression.parts(other)) != split:
            continue
        try:
            answer = expression.value(other)
        except ZeroDivisionError:
            continue
        question = f"{calculation.OPENING}${changed}$"
        return restated(problem, question, str(answer))
    raise DataError(f"problem {problem.id}: no other numbers keep {latex} in the {split} split")


def _other_operand(dice: Iterator[float], found: re.Match[str]) -> str:
    lowest = 1 if found.string[: found.start()].endswith("}{") else 0
    return str(_other(int(found[0]), lowest, calculation.LARGEST, dice))


def _other_integer(question: str, draws: int) -> str | None:
    """One integer, none of a drawing and no exponent or index, with as many other digits and no new leading zero."""
    hidden = [range(*found.span()) for found in _DRAWING.finditer(question)]
    places = [found for found in _INTEGER.finditer(question) if not any(found.start() in drawing for drawing in hidden)]
    if not places:
        return None
    dice = iter(uniforms(draws, 3 + max(len(found[0]) for found in places)).tolist())
    place = places[int(next(dice) * len(places))]
    return question[: place.start()] + _other_digits(place[0], dice) + question[place.end() :]


def _other_digits(digits: str, dice: Iterator[float]) -> str:
    """As many digits, at least one of them another; the first is 0 only where it was."""
    lowest = 0 if len(digits) > 1 and digits[0] == "0" else 1
    at = int(next(dice) * len(digits))
    drawn = [str(int(lowest + next(dice) * (10 - lowest)))] + [str(int(next(dice) * 10)) for _ in digits[1:]]
    drawn[at] = str(_other(int(digits[at]), lowest if at == 0 else 0, 9, dice))
    return "".join(drawn)


def _other(old: int, lowest: int, highest: int, dice: Iterator[float]) -> int:
    """Another integer of lowest..highest, uniformly."""
    choices = [n for n in range(lowest, highest + 1) if n != old]
    return choices[int(next(dice) * len(choices))]


def _attempts(draws: int, width: int) -> Iterator[Iterator[float]]:
    for row in uniforms(draws, _ATTEMPTS * width).reshape(_ATTEMPTS, width).tolist():
        yield iter(row)
