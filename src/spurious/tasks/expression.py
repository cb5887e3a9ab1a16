r"""The expressions of `calculation`, read back from their LaTeX: a tree, and its exact value.

    expression: term {("+" | "-") term}
    term:       factor {(r"\times" | r"\div") factor}
    factor:     integer | integer^2 | integer^3 | \frac{integer}{integer} | \left( expression \right)

Nothing is evaluated as a program, and text outside of this grammar is refused.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from spurious.errors import DataError

Shape = Literal["integer", "fraction", "square", "cube"]

_TOKEN = re.compile(r"\s*(\\frac\{\d{1,9}\}\{\d{1,9}\}|\d{1,9}\^[23]|\d{1,9}|[+-]|\\times|\\div|\\left\(|\\right\))\s*")
_SUMS = {"+": "+", "-": "-"}
_PRODUCTS = {r"\times": "*", r"\div": "/"}
_LONGEST = 4096
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Number:
    """An operand: an integer, a fraction of two, a square or a cube."""

    shape: Shape
    parts: tuple[int, ...]
    """The integers it is written with, exponents aside: numerator and denominator of a fraction, else one."""

    @property
    def latex(self) -> str:
        """As it stands in the question."""
        forms = {"integer": "{}", "fraction": r"\frac{{{}}}{{{}}}", "square": "{}^2", "cube": "{}^3"}
        return forms[self.shape].format(*self.parts)


@dataclass(frozen=True, slots=True)
class Operation:
    """Two expressions and what is done with them."""

    left: "Expression"
    operator: str
    """One of `+ - * /`."""
    right: "Expression"


Expression = Number | Operation


def read(latex: str) -> Expression:
    """The tree of an expression; operations of one rank go from left to right.

    Raises DataError for anything that `calculation` does not write.
    """
    if len(latex) > _LONGEST:
        raise DataError(f"an expression of {len(latex)} characters is longer than {_LONGEST}")
    tokens, at = [], 0
    while at < len(latex):
        found = _TOKEN.match(latex, at)
        if found is None:
            raise DataError(f"no expression of `calculation`: {latex[at : at + 40]!r} is not understood")
        tokens.append(found[1])
        at = found.end()
    reader = _Reader(tokens)
    tree = reader.sums(0)
    if reader.next is not None:
        raise DataError(f"no expression of `calculation`: {reader.next!r} comes too soon in {latex[:80]!r}")
    return tree


def value(expression: Expression) -> Fraction:
    """The exact value.

    Raises ZeroDivisionError where a divisor or a denominator is 0.
    """
    if isinstance(expression, Number):
        first = Fraction(expression.parts[0])
        match expression.shape:
            case "integer":
                return first
            case "fraction":
                return first / expression.parts[1]
            case "square":
                return first**2
            case "cube":
                return first**3
    left, right = value(expression.left), value(expression.right)
    match expression.operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right


def parts(expression: Expression) -> tuple[str, ...]:
    """Operands and operators from left to right: what decides the split of a `calculation` problem."""
    if isinstance(expression, Number):
        return (expression.latex,)
    return (*parts(expression.left), expression.operator, *parts(expression.right))


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def sums(self, depth: int) -> Expression:
        left = self._products(depth)
        while (operator := _SUMS.get(self.next or "")) is not None:
            self._at += 1
            left = Operation(left, operator, self._products(depth))
        return left

    def _products(self, depth: int) -> Expression:
        left = self._factor(depth)
        while (operator := _PRODUCTS.get(self.next or "")) is not None:
            self._at += 1
            left = Operation(left, operator, self._factor(depth))
        return left

    def _factor(self, depth: int) -> Expression:
        token = self.next
        self._at += 1
        if token == r"\left(" and depth < _DEEPEST:
            inner = self.sums(depth + 1)
            if self.next != r"\right)":
                raise DataError("no expression of `calculation`: a bracket is not closed")
            self._at += 1
            return inner
        if token is None or not (token[0].isdigit() or token.startswith(r"\frac")):
            raise DataError(f"no expression of `calculation`: {token!r} where an operand belongs")
        return _number(token)


def _number(token: str) -> Number:
    if token.startswith(r"\frac"):
        return Number("fraction", tuple(map(int, re.findall(r"\d+", token))))
    base, _, exponent = token.partition("^")
    shapes: dict[str, Shape] = {"": "integer", "2": "square", "3": "cube"}
    return Number(shapes[exponent], (int(base),))
