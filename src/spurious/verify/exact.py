"""Exact arithmetic on answers: integers, decimals, fractions, mixed numbers, powers, roots that come out, factorials.

A recursive descent over the normalized text; nothing is evaluated but the grammar written here.
"""

import math
import re
from fractions import Fraction
from functools import lru_cache

from spurious.verify.limits import MAX_BITS, MAX_CACHED, MAX_PARSED, MAX_POWER, TooLarge, too_deep

_INTEGER = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+)(?![\d,])")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,5}(?![\d.]))?")
_PROPER = re.compile(r" ?\\frac\{(\d{1,50})\}\{(\d{1,50})\}| (\d{1,50}) ?/ ?(\d{1,50})(?![\d.])")
_TIMES = re.compile(r" ?(?:\*|\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|/) ?")
_PLUS = re.compile(r" ?[+-] ?")
_CYCLE = re.compile(r" ?(?:\\overline|\\bar|\\dot)\{(\d{1,50})\}")
_DECIMAL = re.compile(r"[+-]?\d*\.(\d+)(?:[eE][+-]?\d+)?")


class _NotExact(Exception):
    """The text is no rational number in this grammar."""


def rational(text: str) -> Fraction | None:
    """The exact value of a normalized answer, or None where it is not a rational number in plain sight.

    Raises:
        TooLarge: a power, factorial or number would exceed `limits.MAX_BITS`.
    """
    return _remembered(text) if len(text) <= MAX_CACHED else _rational(text)


def _rational(text: str) -> Fraction | None:
    if _INTEGER.fullmatch(text):
        return Fraction(_integer(text.replace(",", "")))
    if len(text) > MAX_PARSED or not re.search(r"\d", text) or too_deep(text):
        return None
    try:
        value, end = _sum(text, 0)
    except (_NotExact, ZeroDivisionError):
        return None
    return value if end == len(text) else None


_remembered = lru_cache(maxsize=8192)(_rational)


def _integer(digits: str) -> int:
    """int(digits) also beyond the length at which Python refuses; the extraction bounds it."""
    value = 0
    for start in range(len(digits) % 1000, len(digits) + 1, 1000):
        part = digits[max(0, start - 1000) : start].lstrip("+-")
        value = value * 10 ** len(part) + int(part or "0")
    return -value if digits.startswith("-") else value


def decimals(text: str) -> int | None:
    """How many digits a plain decimal has after its point, or None if the text is no plain decimal."""
    match = _DECIMAL.fullmatch(text)
    return len(match.group(1)) if match else None


def rounds_to(value: Fraction, text: str) -> bool:
    """Whether the plain decimal `text` is `value`, rounded or cut at its last digit.

    Only for a decimal of at least six digits after the point and six significant ones. The caller makes sure that no
    finite decimal equals `value`: 0.333333 is 1/3, while 0.33 is not, and 5.0000001 is not 5.
    """
    places, shown = decimals(text), rational(text)
    if places is None or shown is None or places < 6 or "e" in text.lower():
        return False
    significant = len(text.lstrip("+-").replace(".", "").lstrip("0"))
    scale, bottom = 10**places, value.denominator
    return significant >= 6 and abs(value.numerator * scale - int(shown * scale) * bottom) < bottom


@lru_cache(maxsize=1024)
def terminates(value: Fraction) -> bool:
    """Whether some finite decimal equals `value`."""
    odd = value.denominator >> ((value.denominator & -value.denominator).bit_length() - 1)
    return pow(5, odd.bit_length(), odd) == 0


def _sum(text: str, at: int) -> tuple[Fraction, int]:
    value, at = _product(text, at)
    while match := _PLUS.match(text, at):
        term, at = _product(text, match.end())
        value = _sized(value + term if "+" in match.group() else value - term)
    return value, at


def _product(text: str, at: int) -> tuple[Fraction, int]:
    value, at = _signed(text, at)
    while at < len(text):
        if match := _TIMES.match(text, at):
            factor, at = _signed(text, match.end())
            value = _sized(value / factor if "/" in match.group() else value * factor)
        elif re.compile(r" ?(?:[({]|\\(?:frac|sqrt|binom))").match(text, at):
            factor, at = _power(text, at + (text[at] == " "))
            value = _sized(value * factor)
        else:
            break
    return value, at


def _signed(text: str, at: int) -> tuple[Fraction, int]:
    sign = 1
    while text[at : at + 1] in ("-", "+", " ") and at < len(text):
        sign = -sign if text[at] == "-" else sign
        at += 1
    value, at = _power(text, at)
    return sign * value, at


def _power(text: str, at: int) -> tuple[Fraction, int]:
    value, at = _atom(text, at)
    while text[at : at + 1] == "!":
        value, at = Fraction(_factorial(value)), at + 1
    if text[at : at + 2] == "^{":
        exponent, at = _sum(text, at + 2)
        value, at = _raised(value, exponent), _expect(text, at, "}")
    return value, at


def _atom(text: str, at: int) -> tuple[Fraction, int]:
    if text[at : at + 1] in ("(", "{", "["):
        value, end = _sum(text, at + 1)
        return value, _expect(text, end, {"(": ")", "{": "}", "[": "]"}[text[at]])
    if text.startswith((r"\frac{", r"\binom{"), at):
        binomial = text[at + 1] == "b"
        top, end = _sum(text, text.index("{", at) + 1)
        bottom, end = _sum(text, _expect(text, _expect(text, end, "}"), "{"))
        return _binomial(top, bottom) if binomial else _sized(top / bottom), _expect(text, end, "}")
    if text.startswith(r"\sqrt{", at):
        value, end = _sum(text, at + 6)
        return _root(value, 2), _expect(text, end, "}")
    return _literal(text, at)


def _literal(text: str, at: int) -> tuple[Fraction, int]:
    """A number: with thousands separators, decimal, scientific, or mixed with the fraction that follows it."""
    if match := _THOUSANDS.match(text, at):
        digits, end = match.group().replace(",", "").replace(" ", ""), match.end()
        if tail := re.compile(r"\.\d+").match(text, end):
            digits, end = digits + tail.group(), tail.end()
        return Fraction(digits), end
    match = _NUMBER.match(text, at)
    if not match:
        raise _NotExact
    literal = match.group()
    mantissa, _, exponent = literal.lower().partition("e")
    if abs(int(exponent or 0)) > MAX_POWER:
        raise TooLarge
    value = Fraction(mantissa) * Fraction(10) ** int(exponent or 0)
    if not exponent and "." in mantissa and (cycle := _CYCLE.match(text, match.end())):
        places, length = len(mantissa.partition(".")[2]), len(cycle.group(1))
        return value + Fraction(int(cycle.group(1)), (10**length - 1) * 10**places), cycle.end()
    mixed = _PROPER.match(text, match.end())
    if mixed and literal.isdigit():
        top, bottom = (int(group) for group in mixed.groups() if group)
        if top < bottom:
            return value + Fraction(top, bottom), mixed.end()
    return value, match.end()


def _expect(text: str, at: int, char: str) -> int:
    if text[at : at + 1] == " ":
        at += 1
    if text[at : at + 1] != char:
        raise _NotExact
    return at + 1


def _sized(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise TooLarge
    return value


def _raised(base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0 and exponent <= 0:
        raise _NotExact
    if exponent.denominator != 1:
        if exponent.denominator > 64 or base < 0:
            raise _NotExact
        base = _root(base, exponent.denominator)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if base not in (0, 1, -1) and abs(exponent.numerator) * bits > 2 * MAX_BITS:
        raise TooLarge
    power = exponent.numerator % 2 if base in (0, 1, -1) and abs(exponent) > 2 else exponent.numerator
    if base == 0:
        return base
    return _sized(base**power)


def _root(value: Fraction, degree: int) -> Fraction:
    if value < 0:
        raise _NotExact
    top, bottom = _integer_root(value.numerator, degree), _integer_root(value.denominator, degree)
    if top**degree != value.numerator or bottom**degree != value.denominator:
        raise _NotExact
    return Fraction(top, bottom)


def _integer_root(value: int, degree: int) -> int:
    """floor(value ** (1 / degree)), exactly (Newton's method on integers)."""
    if degree == 2 or value < 2:
        return math.isqrt(value) if degree == 2 else value
    guess = 1 << -(-value.bit_length() // degree)
    while True:
        better = ((degree - 1) * guess + value // guess ** (degree - 1)) // degree
        if better >= guess:
            return guess
        guess = better


def _factorial(value: Fraction) -> int:
    if value.denominator != 1 or value < 0:
        raise _NotExact
    if value > MAX_POWER:
        raise TooLarge
    return math.factorial(value.numerator)


def _binomial(top: Fraction, bottom: Fraction) -> Fraction:
    if top.denominator != 1 or bottom.denominator != 1 or not 0 <= bottom <= top:
        raise _NotExact
    if top > 4 * MAX_POWER:
        raise TooLarge
    return Fraction(math.comb(top.numerator, bottom.numerator))
