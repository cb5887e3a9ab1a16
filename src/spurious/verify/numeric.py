r"""Values of plain expressions, in this process: `\frac{2\pi}{3}` against `60` needs no computer algebra system.

Only what can be read in one way is read: numbers, fractions, roots, powers, pi, e, one-letter variables, sums and
products. Everything else, and every value that is too near to call, is left to the symbolic step, whose verdict on
these expressions (values at the same points) is the same; the tests hold one against the other.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from spurious.verify.exact import decimals, rounds_to
from spurious.verify.limits import MAX_CACHED, too_deep

POINTS = (
    ("0.71", "1.37", "2.17", "0.39", "1.83"),
    ("-1.23", "0.83", "-0.47", "1.61", "-2.39"),
    ("1.91", "-0.67", "0.29"),
)
"""Where two expressions with variables are compared: of both signs, of no special value to a function."""

_DIGITS = 120
"""Working precision. Half of it may be lost to cancellation before a verdict is wrong."""
_EQUAL, _DIFFERENT, _TINY = (10.0**-power for power in (45, 25, 40))
_LARGEST_POWER = 3000
_LARGEST_SIZE = 40_000
"""Bits before the binary point, or behind it, of any value on the way."""

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|(\\[A-Za-z]+)|([a-z])|([-+*/^(){}\[\]]))", re.ASCII)
_TIMES = {"*", r"\cdot", r"\times"}
_NOT_VARIABLES = "di"
"""A differential, and the imaginary unit."""


class _Unread(Exception):
    """The expression, or its value, is none of ours."""


def numerically(one: str, other: str) -> bool | None:
    """Whether two normalized expressions have the same value everywhere; None where that is not ours to say."""
    read = [_remembered(text) if len(text) <= MAX_CACHED else _read(text) for text in (one, other)]
    if read[0] is None or read[1] is None:
        return None
    names = sorted(_variables(one) | _variables(other))
    try:
        if not names:
            first, second = (_value(tree, {}) for tree in read)
            same = _close(first, second)
            return same or _rounds(first, other) or _rounds(second, one)
        verdicts = []
        for point in POINTS:
            place = {name: _number(point[i % len(point)]) + i // len(point) for i, name in enumerate(names)}
            verdicts.append(_close(*(_value(tree, place) for tree in read)))
    except _Unread:
        return None
    return all(verdicts)


def _variables(text: str) -> set[str]:
    return {letter for _, _, letter, _ in _TOKEN.findall(text) if letter and letter != "e"}


def _read(text: str) -> Any:
    """The expression as nested tuples, or None."""
    if too_deep(text):
        return None
    try:
        return _Reader(text).whole()
    except _Unread:
        return None


_remembered = lru_cache(maxsize=4096)(_read)


class _Reader:
    """Recursive descent over the tokens of a text that is not `limits.too_deep`."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        end = 0
        for match in _TOKEN.finditer(text):
            if match.start() != end:
                raise _Unread
            self.tokens.append(match.group().strip())
            end = match.end()
        if text[end:].strip():
            raise _Unread
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.next
        if not token or (expected and token != expected):
            raise _Unread
        self.at += 1
        return token

    def whole(self) -> Any:
        tree = self.sum()
        if self.next:
            raise _Unread
        return tree

    def sum(self) -> Any:
        sign = self.take() if self.next in ("+", "-") else "+"
        terms = [(sign, self.product())]
        while self.next in ("+", "-"):
            terms.append((self.take(), self.product()))
        return ("sum", terms)

    def product(self) -> Any:
        factors = [("*", self.power())]
        divided = False
        while True:
            before, token = self.tokens[self.at - 1], self.next
            if token in _TIMES:
                self.take()
                factors.append(("*", self.power()))
                divided = False
            elif token == "/":
                self.take()
                factors.append(("/", self.power()))
                divided = True
            elif _starts(token):
                if divided or not _multiplies(before, token, self.tokens[self.at - 2] if self.at > 1 else ""):
                    raise _Unread  # 1/2x, x(y), 2 3, 1\frac12
                factors.append(("*", self.power()))
            else:
                return ("product", factors)

    def power(self) -> Any:
        base = self.atom()
        if self.next != "^":
            return base
        self.take()
        if self.next == "{":
            exponent = self.group()
        elif len(self.next) == 1 and self.next.isalnum():
            exponent = self.atom()
        else:
            raise _Unread
        if self.next == "^" or re.match(r"[\d.]", self.next):
            raise _Unread  # 2^10 means 2^1 times 0
        return ("power", base, exponent)

    def atom(self) -> Any:
        token = self.take()
        if re.match(r"[\d.]", token):
            return ("number", token)
        if token == r"\pi":
            return ("pi",)
        if token.isalpha() and token not in _NOT_VARIABLES:
            return ("e",) if token == "e" else ("variable", token)
        if token == r"\frac":
            return ("product", [("*", self.group()), ("/", self.group())])
        if token == r"\sqrt":
            degree = ("number", "2")
            if self.next == "[":
                self.take()
                if not re.match(r"[\d.]", self.next):
                    raise _Unread  # a root of degree n has no value
                degree = ("number", self.take())
                self.take("]")
            return ("root", self.group(), degree)
        if token in "({":
            self.at -= 1
            return self.group(token)
        raise _Unread

    def group(self, opening: str = "{") -> Any:
        self.take(opening)
        inner = self.sum()
        self.take({"{": "}", "(": ")"}[opening])
        return inner


def _starts(token: str) -> bool:
    return bool(token) and (token.isalnum() or token in ("(", "{", r"\pi", r"\frac", r"\sqrt") or token[0] == ".")


def _multiplies(before: str, token: str, earlier: str) -> bool:
    """Whether two factors side by side can only be a product."""
    if re.match(r"[\d.]", token) or token == "{":
        return False
    if re.match(r"[\d.]", before):
        return token != r"\frac"
    if before.isalpha():
        return (token.isalpha() and not earlier.isalpha()) or token in (r"\pi", r"\sqrt")
    return before in (")", "}") or (before == r"\pi" and token != "(")


def _value(tree: Any, place: Mapping[str, Any]) -> Any:
    """The real value of an expression at a place.

    Raises:
        _Unread: there is none, or it is too large or too small to work with.
    """
    kind, *parts = tree
    if kind == "number":
        return _number(parts[0])
    if kind in ("pi", "e"):
        return +getattr(_context(), kind)
    if kind == "variable":
        return place[parts[0]]
    if kind == "sum":
        terms = [(sign, _value(term, place)) for sign, term in parts[0]]
        return _checked(sum(value if sign == "+" else -value for sign, value in terms))
    if kind == "product":
        value = _context().mpf(1)
        for operator, factor in parts[0]:
            other = _value(factor, place)
            if operator == "/" and not other:
                raise _Unread
            value = _checked(value * other if operator == "*" else value / other)
        return value
    base, exponent = (_value(part, place) for part in parts)
    if kind == "root":
        if base < 0 or not 2 <= exponent <= _LARGEST_POWER or exponent != int(exponent):
            raise _Unread
        return _context().root(base, int(exponent))
    return _power(base, exponent)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > _LARGEST_POWER or (base == 0 and exponent <= 0) or (base < 0 and exponent != int(exponent)):
        raise _Unread
    if base and abs(_context().log(abs(base), 2) * exponent) > _LARGEST_SIZE:
        raise _Unread
    return _checked(base**exponent)


def _checked(value: Any) -> Any:
    if value and not -_LARGEST_SIZE < _context().mag(value) < _LARGEST_SIZE:
        raise _Unread
    return value


def _number(text: str) -> Any:
    if len(text) > 300:
        raise _Unread
    return _context().mpf(f"0{text}" if text[0] == "." else text)


def _close(one: Any, other: Any) -> bool:
    size, apart = max(abs(one), abs(other)), abs(one - other)
    if not apart:
        return True
    if size < _TINY or _EQUAL * size < apart < _DIFFERENT * size:
        raise _Unread
    return bool(apart <= _EQUAL * size)


def _rounds(value: Any, decimal: str) -> bool:
    """Whether a plain decimal of six digits and more is this value, rounded or cut."""
    if decimals(decimal) is None:
        return False
    sign, mantissa, exponent, _ = value._mpf_
    exact = Fraction(int(mantissa)) * Fraction(2) ** exponent
    return rounds_to(-exact if sign else exact, decimal)


@cache
def _context() -> Any:
    """A precision of our own: the library's is shared by everyone in the process."""
    from mpmath.ctx_mp import MPContext

    context = MPContext()
    context.dps = _DIGITS
    return context
