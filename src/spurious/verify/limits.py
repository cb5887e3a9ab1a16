"""What is too large or too deep to be looked at: checked on text, in linear time, before any parser sees it."""

import re
from functools import lru_cache

MAX_ANSWER = 10_000
"""Characters; a longer answer is cut there by the extraction and graded `limit`."""
MAX_PARSED = 1_000
"""Characters of an answer that is handed to a symbolic parser."""
MAX_DEPTH = 24
"""Nested brackets of any kind."""
MAX_DIGITS = 300
"""Digits in one number inside an expression; plain integers are compared at any length."""
MAX_POWER = 3_000
"""The largest exponent or factorial argument that a symbolic parser is given."""
MAX_BITS = 50_000
"""The size of an exact rational number that we are willing to compute."""

MAX_COMPARED = 50_000
"""Comparisons of elements with elements in one grade: sets of sets multiply."""
MAX_VALUED = 10_000
"""Characters of the expressions whose values are computed in one grade before the rest is left to a worker."""
MAX_CACHED = 300
"""Characters of an answer that is remembered: hostile answers must not fill the memory."""
MAX_READ = 1_000_000
"""Characters at the end of a completion in which its answer is looked for."""


class TooLarge(Exception):
    """Too long, too deep, too many elements or too large a number: working it out would be a favor to an attacker."""


_DEEP = re.compile(
    r"[{(\[]|[})\]]|\\(?:l|r)(?:brace|brack|paren|angle|floor|ceil)(?![A-Za-z])|\\(?:begin|end)(?![A-Za-z])"
)
_CLOSING = ("}", ")", "]", "\\r", "\\e")
_BIG_POWER = re.compile(r"(?:\^|\*\*) ?[{(]? ?-? ?(\d+)")
_BIG_FACTORIAL = re.compile(r"(\d+) ?[)}]? ?!")
_LARGE = re.compile(r"(?:\^|\*\*) ?[{(]?[^A-Za-z]{0,3}\d{2}|!|\\[dt]?binom")
_TOWER = re.compile(r"\^\{[^{}A-Za-z]*(?:\^\{[^{}A-Za-z]*\d|!)|!\)?!")
_CODE = re.compile(
    r"__|\blambda\b|\bimport\b|\bexec\b|\beval\b|\bopen ?\(|\bprint ?\(|\bos\.|\bsys\.|\bdef [a-z]|;base64"
    r"|\w\(['\"]|\.[a-z_]+\(|\bfor \w+ in\b"
    r"|\\(?:input|include|write|def|newcommand|immediate|catcode|csname|read|openin)\b"
)
_UNEVALUATED = re.compile(r"\\(?:sum|prod|int|iint|oint|lim|coprod|bigcup|bigcap)(?![A-Za-z])")


def too_deep(text: str) -> bool:
    """Whether brackets, under any of their names, or environments nest deeper than `MAX_DEPTH`."""
    depth = 0
    for match in _DEEP.finditer(text):
        depth += -1 if match.group().startswith(_CLOSING) else 1
        if depth > MAX_DEPTH:
            return True
        depth = max(depth, 0)
    return False


def too_heavy(normalized: str) -> bool:
    """Whether a long answer holds large powers, factorials or binomials: one is computed, hundreds are not."""
    return len(normalized) > MAX_PARSED and _LARGE.search(normalized) is not None


@lru_cache(maxsize=4096)
def too_complex(normalized: str) -> bool:
    """Whether a symbolic parser might choke: long, huge powers or factorials, powers in powers of numbers."""
    if len(normalized) > MAX_PARSED or re.search(rf"\d{{{MAX_DIGITS + 1}}}", normalized):
        return True
    if any(int(power) > MAX_POWER for power in _BIG_POWER.findall(normalized)):
        return True
    if any(int(argument) > MAX_POWER for argument in _BIG_FACTORIAL.findall(normalized)):
        return True
    return _TOWER.search(normalized) is not None


def looks_like_code(text: str) -> bool:
    """Whether an answer is shaped like a program or a TeX file command; such text is never parsed as mathematics."""
    return bool(_CODE.search(text))


def unevaluated(normalized: str) -> bool:
    """Whether the answer holds a sum, product, integral or limit that is still to be worked out."""
    return bool(_UNEVALUATED.search(normalized))
