"""The shape of an answer: lists, tuples, intervals, sets, unions, matrices, assignments, ratios, words, expressions."""

import re
from dataclasses import dataclass, field

from spurious.verify.exact import rational
from spurious.verify.units import split_unit

_SCAN = re.compile(
    r"\\(?:begin|end)(?=\{)|\\[A-Za-z]+|\\.| (?:and|or|AND|OR)(?= |$|\()|(?<=\))(?:and|or)(?=\()|.", re.DOTALL
)
_OPEN = frozenset(["(", "[", "{", r"\{", r"\begin", r"\lfloor", r"\lceil"])
_CLOSE = frozenset([")", "]", "}", r"\}", r"\end", r"\rfloor", r"\rceil"])
_JOINTS = frozenset([",", ";", "and", "or"])
_RELATIONS = frozenset(["=", "<", ">", r"\le", r"\ge", r"\ne", r"\in", r"\approx"])
_SYMBOL = r"\\?[A-Za-z]+(?:_\{[^{}]*\})?'*"
_NAME = re.compile(
    rf"(?:{_SYMBOL}|\\text\{{[^{{}}]*\}}|\\angle ?[A-Z]+)(?: ?\({_SYMBOL}(?: ?, ?{_SYMBOL})*\))?"
    rf"|\({_SYMBOL}(?: ?, ?{_SYMBOL}){{1,9}}\)"
)
_VARIABLE = re.compile(r"\\?[A-Za-z]+(?:_\{[^{}]*\})?|\|[A-Za-z]\|")
_CONSTANTS = frozenset([r"\pi", "e", "i", r"\infty"])
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"([+-]?)(?:0,(\d+)|(\d+),(\d\d|\d{4,}))")
_MATRIX = re.compile(r"\\begin\{([a-zA-Z]*matrix|array)\}(?:\{[clr| ]*\})?(.*)\\end\{\1\}", re.DOTALL)
_BASED = re.compile(r"([0-9A-Za-z]+)_\{ ?\(?(?:\\text\{)?([0-9]+|[a-z]+)\}?\)? ?\}")
_BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}
_SET_BUILDER = re.compile(r"([A-Za-z]) ?(?::|\||\\mid(?![A-Za-z])) ?(.+)")
_PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z]) ?(?=.)")
_WORDS = re.compile(r"(?:\\text\{[^{}]*\}|[0-9A-Za-z ,.&/'!?-])+")


@dataclass(frozen=True)
class Node:
    """A piece of an answer. `text` is its normalized spelling, `items` what it is made of.

    Kinds: `value` (an expression), `words`, `list`, `tuple` (`mark` holds its two brackets), `set`, `union`, `matrix`
    (rows of `tuple`), `assigned` (items[0] is the value, `mark` the name), `ratio`, `based` (`text` the digits, `mark`
    the base).
    """

    kind: str
    text: str
    items: tuple["Node", ...] = ()
    mark: str = ""
    unit: str = ""
    alternative: str = field(default="", compare=False)
    """Another reading: the decimal of `1,22`, the left side of `a \\approx b`."""


def read(text: str) -> Node:
    """The shape of a normalized answer. Never fails: what has no other shape is one `value`."""
    if match := _MATRIX.fullmatch(text):
        return _matrix(text, match.group(2))
    if _GROUPED.fullmatch(text):
        return Node("value", text)
    pieces = _split(text, _JOINTS)
    if len(pieces) > 1 and (union := _alternatives(text)):
        return union
    if len(pieces) > 1:
        decimal = _DECIMAL_COMMA.fullmatch(text)
        items = tuple(read(piece) for piece in _regrouped(pieces, text) if piece)
        return items[0] if len(items) == 1 else Node(
            "list", text, _shared_name(items), alternative=text.replace(",", ".") if decimal else ""
        )  # fmt: skip
    parts = _split(text, frozenset([r"\cup"]))
    if len(parts) > 1:
        return Node("union", text, tuple(read(part) for part in parts))
    return _bracketed(text) or _related(text) or _plain(text)


def _alternatives(text: str) -> Node | None:
    """`x < 1 or x > 2` as the union it is, if all its parts are inequalities in one variable."""
    parts = [_related(part) for part in _split(text, frozenset(["or"]))]
    sets = [part for part in parts if part and part.kind == "assigned" and part.items[0].kind == "tuple"]
    if len(sets) < len(parts) or len(parts) < 2 or any(part.mark != sets[0].mark for part in sets):
        return None
    return Node("assigned", text, (Node("union", text, tuple(part.items[0] for part in sets)),), sets[0].mark)


def _plain(text: str) -> Node:
    if match := _BASED.fullmatch(text):
        digits, base = match.groups()
        base = _BASES.get(base, base)
        if base.isdigit() and any(c.isdigit() for c in digits):
            return Node("based", digits.upper(), mark=base)
    if len(_PLUS_MINUS.findall(text)) == 1:
        both = (_PLUS_MINUS.sub(sign, text) for sign in "+-")
        return Node("list", text, tuple(read(one) for one in both))
    value, unit = split_unit(text)
    if ":" in value:
        parts = _split(value, frozenset([":"]))
        if 2 <= len(parts) <= 8 and all(parts):
            return Node("ratio", value, tuple(Node("value", part) for part in parts), unit=unit)
    if is_words(value) or text in (r"\ldots", r"\dots", r"\cdots"):
        return Node("words", text)
    if value != text and (shape := _bracketed(value)):
        return shape
    return Node("value", value, unit=unit)


def is_words(text: str) -> bool:
    """Whether an answer is words rather than mathematics: text commands, or letters that read as a word."""
    if not _WORDS.fullmatch(text):
        return False
    bare = re.sub(r"\\text\{[^{}]*\}", " ", text)
    if r"\text{" in text and not re.search(r"[A-Za-z\d]", bare):
        return True
    return re.search(r"[A-Za-z]{3}|[A-Z][a-z]", bare) is not None


def _matrix(text: str, body: str) -> Node:
    rows = [row for row in _split(body, frozenset([r"\\"])) if row]
    cells = (tuple(read(cell) for cell in _split(row, frozenset(["&"]))) for row in rows)
    return Node("matrix", text, tuple(Node("tuple", "", row, "()") for row in cells))


def _bracketed(text: str) -> Node | None:
    """A tuple, interval, list or set: one pair of brackets around the whole, with something to separate inside."""
    pairs = {"(": (1, ")]"), "[": (1, ")]"), r"\{": (2, r"\}")}
    opening = next((mark for mark in pairs if text.startswith(mark)), None)
    if opening is None or _first_close(text) != len(text):
        return None
    width, closers = pairs[opening]
    closing = text[-width:]
    if closing not in closers:
        return None
    inner = text[width:-width].strip()
    pieces = _split(inner, _JOINTS)
    if len(pieces) == 1 and opening == "(" and closing == ")":
        return None if not inner else read(inner)
    if opening == r"\{" and (condition := _SET_BUILDER.fullmatch(inner)):
        solved = _related(condition.group(2))
        if solved and solved.kind == "assigned" and solved.mark == condition.group(1):
            return solved
    items = tuple(read(piece) for piece in pieces if piece)
    if opening == r"\{":
        return Node("set", text, _shared_name(items))
    return Node("tuple", text, items, opening + closing)


def _related(text: str) -> Node | None:
    """An assignment, a membership or an inequality in one variable; None for any other relation."""
    sides, signs = _sides(text)
    if not signs or not all(sides):
        return None
    if signs[-1] == r"\approx" and not _NAME.fullmatch(sides[0]):
        return Node("value", sides[0], alternative=sides[1]) if len(signs) == 1 else None
    if r"\approx" in signs[1:]:
        about = signs.index(r"\approx", 1)
        sides, signs = sides[: about + 1], signs[:about]
    if set(signs) <= {"=", r"\approx"}:
        if _NAME.fullmatch(sides[0]) and sides[0] not in _CONSTANTS:
            return Node("assigned", text, (read(sides[-1]),), sides[0].replace(" ", ""))
        if len(sides) == 2 and _NAME.fullmatch(sides[1]) and sides[1] not in _CONSTANTS:
            return Node("assigned", text, (read(sides[0]),), sides[1].replace(" ", ""))
        if all(not re.search(r"(?<!\\)(?<![A-Za-z])[A-Za-z](?![A-Za-z])", side) for side in sides):
            values = {rational(side) for side in sides} - {None}
            return read(sides[-1]) if len(values) < 2 else None
        return None
    if signs == [r"\in"] and _NAME.fullmatch(sides[0]):
        return Node("assigned", text, (read(sides[1]),), sides[0])
    return _interval(text, sides, signs)


def _interval(text: str, sides: list[str], signs: list[str]) -> Node | None:
    r"""`x < 3`, `3 > x` and `1 \le x < 3` as the intervals they are, named by their variable."""
    if any(sign in (">", r"\ge") for sign in signs):
        flipped = {">": "<", r"\ge": r"\le"}
        if not all(sign in flipped for sign in signs):
            return None
        sides, signs = sides[::-1], [flipped[sign] for sign in signs[::-1]]
    if not all(sign in ("<", r"\le") for sign in signs):
        return None
    if len(sides) == 2:
        if _VARIABLE.fullmatch(sides[0]) and sides[0] not in _CONSTANTS:
            sides, signs = [r"-\infty", *sides], ["<", *signs]
        elif _VARIABLE.fullmatch(sides[1]):
            sides, signs = [*sides, r"\infty"], [*signs, "<"]
    if len(sides) != 3 or not _VARIABLE.fullmatch(sides[1]) or sides[1] in _CONSTANTS:
        return None
    brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
    ends = (Node("value", sides[0]), Node("value", sides[2]))
    return Node("assigned", text, (Node("tuple", text, ends, brackets),), sides[1])


def _sides(text: str) -> tuple[list[str], list[str]]:
    sides, signs, start, depth = [], [], 0, 0
    for match in _SCAN.finditer(text):
        token = match.group()
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0 and token in _RELATIONS:
            sides.append(text[start : match.start()].strip())
            signs.append(token)
            start = match.end()
    return [*sides, text[start:].strip()], signs


def _split(text: str, joints: frozenset[str]) -> list[str]:
    """`text` cut at the joints that no bracket encloses."""
    pieces, start, depth = [], 0, 0
    for match in _SCAN.finditer(text):
        token = match.group()
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0 and token.strip().lower() in joints:
            pieces.append(text[start : match.start()].strip())
            start = match.end()
    return [*pieces, text[start:].strip()]


def _first_close(text: str) -> int:
    """Where the bracket that opens the text is closed, as the position after it."""
    depth = 0
    for match in _SCAN.finditer(text):
        token = match.group()
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0:
            return match.end()
    return -1


def _regrouped(pieces: list[str], text: str) -> list[str]:
    """Thousands put together again in a list whose own separators are followed by spaces: `1,234, 5,678`."""
    if not re.search(r"\d,\d{3}(?!\d)", text) or not re.search(r", |;| and | or ", text):
        return pieces
    return (
        [piece.strip() for piece in re.split(r",(?!\d{3}(?!\d))|;| and | or ", text)]
        if "(" not in text and "{" not in text
        else pieces
    )


def _shared_name(items: tuple[Node, ...]) -> tuple[Node, ...]:
    """`n = 2, 3, 4` names all its elements: the first name goes when only the first has one."""
    if len(items) > 1 and items[0].kind == "assigned" and all(item.kind != "assigned" for item in items[1:]):
        return (items[0].items[0], *items[1:])
    return items
