"""The steps that need no other process: from two extracted answers to a status, or to 'ask the symbolic step'."""

from functools import lru_cache
from typing import Literal

from spurious.types import Status
from spurious.verify import limits
from spurious.verify.compare import TooManyItems, canonical_value, exactly, identically, same
from spurious.verify.exact import TooLarge, rational
from spurious.verify.normalize import key, normalize
from spurious.verify.numeric import numerically
from spurious.verify.structure import Node, read

Step = Literal["string", "exact", "symbolic"]
STEPS: tuple[Step, ...] = ("string", "exact", "symbolic")
"""What `verify` climbs, in order; a private choice of steps is how the tests look at each alone."""


def decide(gold: str, answer: str, steps: tuple[Step, ...] = STEPS) -> Status | None:
    """The status of an extracted answer against a gold answer as far as this process can tell; None: ask the pool."""
    if not answer.strip():
        return "absent"
    if not gold.strip():
        return "unparsable"
    if len(answer) >= limits.MAX_ANSWER or limits.too_deep(answer):
        return "limit"
    if limits.too_deep(gold):
        return "limit"
    true, given = normalize(gold), normalize(answer)
    if not given or not true:
        return "unparsable"
    if "string" in steps and key(true) == key(given):
        return "correct"
    if limits.looks_like_code(answer):
        return "unparsable"
    return _by_shape(true, given, steps)


def _by_shape(gold: str, answer: str, steps: tuple[Step, ...]) -> Status | None:
    def leaf(one: str, other: str) -> bool | None:
        if "string" in steps and identically(one, other):
            return True
        if "exact" in steps and (verdict := exactly(one, other)) is not None:
            return verdict
        plain = "symbolic" in steps and not (limits.too_complex(one) or limits.too_complex(other))
        return numerically(one, other) if plain else None

    try:
        verdict = same(gold, answer, leaf)
    except (TooLarge, TooManyItems):
        return "limit"
    if verdict is not None:
        return "correct" if verdict else "wrong"
    if limits.unevaluated(answer) and not limits.unevaluated(gold):
        return "wrong"
    if "symbolic" not in steps:
        return "wrong"
    return "limit" if limits.too_complex(answer) or limits.too_complex(gold) else None


@lru_cache(maxsize=65536)
def canonical(answer: str) -> str:
    r"""A cheap exact form under which equal answers vote together: 1/2, 0.5 and `\frac12` are all `1/2`.

    What is no rational number keeps its normalized spelling: equal forms mean equal answers, not the reverse.
    """
    if len(answer) >= limits.MAX_ANSWER or limits.too_deep(answer):
        return answer.strip()
    normalized = normalize(answer)
    try:
        return canonical_value(normalized)
    except TooLarge:
        return key(normalized)


def readable(gold: str) -> Status | None:
    """Whether a gold can be graded against: `correct`, why not, or None for 'ask the pool'."""
    if not gold.strip():
        return "absent"
    if len(gold) >= limits.MAX_ANSWER or limits.too_deep(gold):
        return "limit"
    normalized = normalize(gold)
    if not normalized or limits.looks_like_code(gold):
        return "unparsable"
    try:
        return "correct" if _plain(read(normalized)) else None
    except TooLarge:
        return "limit"


def _plain(node: Node) -> bool:
    """Whether every part of an answer is words, a numeral or a number in plain sight."""
    if node.kind == "value":
        return rational(node.text) is not None
    return all(map(_plain, node.items))
