"""Whether two answers say the same, by shape; the leaves are compared by a function that may not know."""

import re
from collections.abc import Callable, Iterable
from fractions import Fraction

from spurious.verify.exact import rational, rounds_to, terminates
from spurious.verify.limits import TooLarge
from spurious.verify.normalize import key
from spurious.verify.structure import Node, read
from spurious.verify.units import units_differ

Leaf = Callable[[str, str], bool | None]
"""Whether two normalized expressions are equal: yes, no, or not known to this step."""

MAX_ITEMS = 200
"""Elements of a list or set that are compared."""
_CHOICE = re.compile(r"\(?([A-J])\)?(?:$|[).:,] ?| (?=[A-Z][a-z]))|\\text\{ ?\(?([A-J])[).:]+ ?\}")
_INFINITY = re.compile(r"[+-]? ?\\infty")
_TIME = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|in|pm|mp|cup|cap|setminus|mathbb|equiv|mid|pmod|to|emptyset)(?![A-Za-z])")


def same(gold: str, answer: str, leaf: Leaf) -> bool | None:
    """Whether a normalized answer equals a normalized gold; None when `leaf` could not tell where it mattered."""
    if (choice := _letter(gold)) is not None:
        return _same_choice(choice, gold, answer, leaf)
    return _same(read(gold), read(answer), leaf)


def _letter(gold: str) -> str | None:
    match = _CHOICE.match(gold)
    return (match.group(1) or match.group(2)) if match else None


def _same_choice(letter: str, gold: str, answer: str, leaf: Leaf) -> bool | None:
    """A multiple-choice gold, `C` or `(C) 5`: the letter is enough, and so is the text that stands beside it."""
    given = _CHOICE.match(answer)
    if given:
        return letter in given.groups()
    beside = _CHOICE.sub("", gold, count=1).strip()
    if beside:
        return _same(read(beside), read(answer), leaf)
    return False if re.fullmatch(r"\(?[A-Za-z]\)?|\\text\{[^{}]*\}|[^A-Za-z]*", answer) else leaf(gold, answer)


def _same(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    if units_differ(gold.unit, answer.unit):
        return False
    if gold.kind == "assigned" or answer.kind == "assigned":
        return _same_assigned(gold, answer, leaf)
    if gold.kind == "words" or answer.kind == "words":
        return _words(gold.text) == _words(answer.text) != ""
    if gold.alternative or answer.alternative:
        return _any(_same(a, b, leaf) for a in _readings(gold) for b in _readings(answer))
    if gold.kind == answer.kind:
        return _SAME_KIND[gold.kind](gold, answer, leaf)
    return _same_across(gold, answer, leaf)


def _readings(node: Node) -> list[Node]:
    plain = Node(node.kind, node.text, node.items, node.mark, node.unit)
    return [plain, Node("value", node.alternative)] if node.alternative else [plain]


def _same_assigned(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    if gold.kind == answer.kind:
        return gold.mark == answer.mark and _same(gold.items[0], answer.items[0], leaf)
    named, other = (gold, answer) if gold.kind == "assigned" else (answer, gold)
    if other.kind == "value" and _RELATION.search(other.text):
        return leaf(gold.text, answer.text)
    return _same(gold.items[0], answer, leaf) if named is gold else _same(gold, answer.items[0], leaf)


def _same_values(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    if ("=" in gold.text) != ("=" in answer.text):
        return False
    if (gold.unit == "%") == (answer.unit == "%"):
        return leaf(gold.text, answer.text)
    percent, plain = (gold.text, answer.text) if gold.unit == "%" else (answer.text, gold.text)
    return _any(leaf(reading, plain) for reading in (percent, rf"\frac{{{percent}}}{{100}}"))


def _same_ratios(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    pairs = list(zip(gold.items, answer.items, strict=False))
    if len(gold.items) != len(answer.items):
        return False
    values = [(rational(a.text), rational(b.text)) for a, b in pairs]
    first = values[0]
    if any(_TIME.fullmatch(node.text) for node in (gold, answer)) or not first[0] or not first[1]:
        return _all(leaf(a.text, b.text) for a, b in pairs)
    if any(a is None or b is None for a, b in values):
        return _all(leaf(a.text, b.text) for a, b in pairs)
    return all(a * first[1] == b * first[0] for a, b in values if a is not None and b is not None)


def _same_tuples(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    return gold.mark == answer.mark and _in_order(gold.items, answer.items, leaf)


def _in_order(gold: tuple[Node, ...], answer: tuple[Node, ...], leaf: Leaf) -> bool | None:
    if len(gold) != len(answer):
        return False
    return _all(_same(a, b, leaf) for a, b in zip(gold, answer, strict=True))


def _in_any_order(gold: tuple[Node, ...], answer: tuple[Node, ...], leaf: Leaf) -> bool | None:
    """Whether every element of each is an element of the other; how often does not matter."""
    if max(len(gold), len(answer)) > MAX_ITEMS:
        raise TooLarge
    if not gold or not answer:
        return not gold and not answer
    found = _all(_any(_same(one, other, leaf) for other in answer) for one in gold)
    return found if found is False else _all([found, _all(_any(_same(one, o, leaf) for one in gold) for o in answer)])


def _same_based(gold: Node, answer: Node, leaf: Leaf) -> bool:
    return (gold.text, gold.mark) == (answer.text, answer.mark)


def _unordered(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    return _in_any_order(gold.items, answer.items, leaf)


def _ordered(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    return _in_order(gold.items, answer.items, leaf)


_SAME_KIND: dict[str, Callable[[Node, Node, Leaf], bool | None]] = {
    "value": _same_values,
    "list": _unordered,
    "set": _unordered,
    "union": _unordered,
    "tuple": _same_tuples,
    "matrix": _ordered,
    "ratio": _same_ratios,
    "based": _same_based,
}


def _same_across(gold: Node, answer: Node, leaf: Leaf) -> bool | None:
    """Two different shapes: which of them may still mean the same."""
    kinds = {gold.kind, answer.kind}
    by_kind = {gold.kind: gold, answer.kind: answer}
    if kinds == {"list", "set"}:
        return _unordered(gold, answer, leaf)
    if kinds == {"list", "tuple"}:
        return "(" in by_kind["tuple"].mark and _ordered(gold, answer, leaf) if len(gold.items) > 1 else False
    if kinds == {"ratio", "value"}:
        ratio = by_kind["ratio"]
        if len(ratio.items) != 2 or _TIME.fullmatch(ratio.text):
            return False
        quotient = Node("value", rf"\frac{{{ratio.items[0].text}}}{{{ratio.items[1].text}}}")
        return _same_values(quotient, answer, leaf) if gold is ratio else _same_values(gold, quotient, leaf)
    if kinds == {"based", "value"}:
        return by_kind["based"].text == by_kind["value"].text.replace(" ", "").upper()
    for one, other in ((gold, answer), (answer, gold)):
        if one.kind in ("set", "tuple") and len(one.items) == 1 and other.kind not in ("set", "tuple"):
            return _same(one.items[0], other, leaf) if one is gold else _same(other, one.items[0], leaf)
    relation = "value" in kinds and _RELATION.search(by_kind["value"].text)
    if relation or "union" in kinds or "matrix" in kinds:
        return leaf(gold.text, answer.text)
    return False


def _words(text: str) -> str:
    return " ".join(re.sub(r"\\text|[^0-9A-Za-z]+", " ", text).lower().split())


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    unknown = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unknown |= verdict is None
    return None if unknown else True


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    unknown = False
    for verdict in verdicts:
        if verdict:
            return True
        unknown |= verdict is None
    return None if unknown else False


def exactly(gold: str, answer: str) -> bool | None:
    """Whether two expressions are the same rational number; None unless both are in plain sight."""
    one, other = rational(gold), rational(answer)
    if one is None or other is None:
        infinite = [text for text in (gold, answer) if _INFINITY.fullmatch(text)]
        known = len(infinite) + (one is not None) + (other is not None) == 2
        return key(gold) == key(answer) if infinite and known else None
    return one == other or any(
        rounds_to(value, text) and not terminates(value) for value, text in ((one, answer), (other, gold))
    )


def identically(gold: str, answer: str) -> bool | None:
    """Equal spelling is equality; different spelling says nothing."""
    return True if key(gold) == key(answer) else None


def canonical_value(text: str) -> str:
    """The rational number in lowest terms, or the text without meaningless spaces."""
    value = rational(text)
    return key(text) if value is None else _shown(value)


def _shown(value: Fraction) -> str:
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    return f"{value.numerator:#x}/{value.denominator:#x}" if bits > 12_000 else str(value)
