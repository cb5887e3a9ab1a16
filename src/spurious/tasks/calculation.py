"""RandomCalculation: generated arithmetic that no corpus can have leaked (arXiv 2507.10532, section 4).

An expression is grown from one operand, one operation a step: operands are integers from 0 to 100, fractions of two of
them, squares and cubes. Answers are exact: an integer or a fraction in lowest terms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from spurious.errors import SpecError
from spurious.keys import key, uniforms
from spurious.tasks.base import make_problem
from spurious.types import Problem

OPENING = "Compute the exact value, an integer or a fraction in lowest terms: "
"""The words before the expression, which stands between dollar signs."""

LARGEST = 100

Steps = Annotated[int, Field(ge=1, le=20)]
Operand = Literal["integer", "fraction", "square", "cube"]
Operation = Literal["+", "-", "*", "/"]

_SYMBOLS: dict[str, str] = {"+": "+", "-": "-", "*": r"\times", "/": r"\div"}
_BINDING: dict[str, int] = {"+": 1, "-": 1, "*": 2, "/": 2}
_ATOM = 3

_TEST_SHARE = 0.3  # the paper splits 700 to 300
_PATIENCE = 64  # with 30 % of draws in the test split, odds of 1e-10 to miss it


@dataclass(frozen=True, slots=True)
class _Expression:
    latex: str
    value: Fraction
    binding: int
    """How strongly its outermost operation binds; decides the brackets."""
    parts: tuple[str, ...]
    """Its operands and operations: what decides the split."""


def build(
    *,
    steps: Steps | Annotated[tuple[Steps, ...], Field(min_length=1)] = 5,
    size: Annotated[int, Field(ge=1)] = 1000,
    seed: Annotated[int, Field(ge=0)] = 0,
    split: Literal["train", "test"] = "train",
    operands: Annotated[tuple[Operand, ...], Field(min_length=1)] = ("integer", "fraction", "square", "cube"),
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = ("+", "-", "*", "/"),
) -> tuple[Problem, ...]:
    """`size` distinct problems of one split; a smaller size gives the first of a larger one.

    `steps` is the number of operations, or several numbers that take turns. An expression belongs to `train` or `test`
    by a hash of its operands and operations, whatever their order and whatever the seed: no rearrangement of a test
    problem is ever trained on. Raises SpecError where there are not `size` such problems.
    """
    turns = (steps,) if isinstance(steps, int) else steps
    found: dict[str, Problem] = {}
    for index in range(size):
        count = turns[index % len(turns)]
        for expression in _draws(key(seed, "calculation", split, index), count, operands, operations):
            if expression.latex not in found and split_of(expression.parts) == split:
                found[expression.latex] = _problem(expression, count)
                break
        else:
            raise SpecError(
                f"task calculation: size {size} is too much; after {index} {split} problems no new one came"
            )
    return tuple(found.values())


def _problem(expression: _Expression, steps: int) -> Problem:
    question = f"{OPENING}${expression.latex}$"
    return make_problem(question, str(expression.value), "calculation", f"steps {steps}", steps=steps)


def split_of(parts: Sequence[str]) -> str:
    """`train` or `test`, by an expression's operands and operations, whatever their order."""
    place = uniforms(key("calculation", "split", *sorted(parts)), 1)[0]
    return "test" if place < _TEST_SHARE else "train"


def _draws(
    seed: int, steps: int, operands: Sequence[Operand], operations: Sequence[Operation]
) -> Iterator[_Expression]:
    """Independent random expressions, operands and operations uniform; those that divide by zero are left out."""
    width = 3 * (steps + 1) + 2 * steps
    for row in uniforms(seed, _PATIENCE * width).reshape(_PATIENCE, width).tolist():
        dice = iter(row)
        expression: _Expression | None = _operand(dice, operands)
        for _ in range(steps):
            if expression is not None:
                expression = _grow(expression, dice, operands, operations)
        if expression is not None:
            yield expression


def _grow(
    expression: _Expression, dice: Iterator[float], operands: Sequence[Operand], operations: Sequence[Operation]
) -> _Expression | None:
    """One more operation, the expression on its left or right; None where that divides by zero."""
    other = _operand(dice, operands)
    operation = operations[_below(dice, len(operations))]
    left, right = (expression, other) if _below(dice, 2) else (other, expression)
    if operation == "/" and right.value == 0:
        return None
    binding = _BINDING[operation]
    latex = f"{_bracket(left, binding)} {_SYMBOLS[operation]} {_bracket(right, binding + 1)}"
    value = _apply(left.value, operation, right.value)
    return _Expression(latex, value, binding, (*left.parts, operation, *right.parts))


def _operand(dice: Iterator[float], operands: Sequence[Operand]) -> _Expression:
    """An operand; takes three numbers whatever its kind, so that later draws stay where they are."""
    kind, a, b = operands[_below(dice, len(operands))], _below(dice, LARGEST + 1), 1 + _below(dice, LARGEST)
    match kind:
        case "integer":
            latex, value = f"{a}", Fraction(a)
        case "fraction":
            latex, value = rf"\frac{{{a}}}{{{b}}}", Fraction(a, b)
        case "square":
            latex, value = f"{a}^2", Fraction(a**2)
        case "cube":
            latex, value = f"{a}^3", Fraction(a**3)
    return _Expression(latex, value, _ATOM, (latex,))


def _below(dice: Iterator[float], n: int) -> int:
    return int(next(dice) * n)


def _bracket(expression: _Expression, binding: int) -> str:
    return expression.latex if expression.binding >= binding else rf"\left({expression.latex}\right)"


def _apply(left: Fraction, operation: Operation, right: Fraction) -> Fraction:
    match operation:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
