"""What is too large or too deep to be looked at: checked on text, in linear time, before any parser sees it."""

import re

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

_DEEP = re.compile(r"[{(\[]|[})\]]")
_BIG_POWER = re.compile(r"(?:\^|\*\*) ?[{(]? ?-? ?(\d+)")
_BIG_FACTORIAL = re.compile(r"(\d+) ?[)}]? ?!")
_TOWER = re.compile(r"\^\{[^{}A-Za-z]*(?:\^\{[^{}A-Za-z]*\d|!)|!\)?!")
_CODE = re.compile(
    r"__|\blambda\b|\bimport\b|\bexec\b|\beval\b|\bopen ?\(|\bprint ?\(|\bos\.|\bsys\.|\bdef [a-z]|;base64"
    r"|\w\(['\"]|\.[a-z_]+\(|\bfor \w+ in\b"
    r"|\\(?:input|include|write|def|newcommand|immediate|catcode|csname|read|openin)\b"
)
_UNEVALUATED = re.compile(r"\\(?:sum|prod|int|iint|oint|lim|coprod|bigcup|bigcap)(?![A-Za-z])")


def too_deep(text: str) -> bool:
    """Whether brackets nest deeper than `MAX_DEPTH`."""
    depth = 0
    for match in _DEEP.finditer(text):
        depth += 1 if match.group() in "{([" else -1
        if depth > MAX_DEPTH:
            return True
        depth = max(depth, 0)
    return False


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
