"""The steps that need no other process: from two extracted answers to a status, or to 'ask the symbolic step'."""

from functools import lru_cache
from typing import Literal

from spurious.types import Status
from spurious.verify import limits
from spurious.verify.compare import Leaf, canonical_value, exactly, identically, same
from spurious.verify.exact import rational
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
    try:
        true, given = normalize(gold), normalize(answer)
        if not given or not true:
            return "unparsable"
        if "string" in steps and key(true) == key(given):
            return "correct"
        if limits.looks_like_code(answer) or limits.looks_like_code(given):
            return "unparsable"
        if limits.too_heavy(true) or limits.too_heavy(given):
            return "limit"
        verdict = same(true, given, _leaf(steps))
    except limits.TooLarge:
        return "limit"
    if verdict is not None:
        return "correct" if verdict else "wrong"
    if limits.unevaluated(given) and not limits.unevaluated(true):
        return "wrong"
    if "symbolic" not in steps:
        return "wrong"
    return "limit" if limits.too_complex(given) or limits.too_complex(true) else None


def _leaf(steps: tuple[Step, ...]) -> Leaf:
    """How the elements of one answer are compared; what it may cost is counted, so that it depends on nothing else."""
    compared = valued = 0

    def leaf(one: str, other: str) -> bool | None:
        nonlocal compared, valued
        compared += 1
        if compared > limits.MAX_COMPARED:
            raise limits.TooLarge
        if "string" in steps and identically(one, other):
            return True
        if "exact" in steps and (verdict := exactly(one, other)) is not None:
            return verdict
        if "symbolic" not in steps or limits.too_complex(one) or limits.too_complex(other):
            return None
        valued += len(one) + len(other)
        return numerically(one, other) if valued <= limits.MAX_VALUED else None

    return leaf


def canonical(answer: str) -> str:
    r"""A cheap exact form under which equal answers vote together: 1/2, 0.5 and `\frac12` are all `1/2`.

    What is no rational number keeps its normalized spelling: equal forms mean equal answers, not the reverse.
    """
    return _remembered(answer) if len(answer) <= limits.MAX_CACHED else _canonical(answer)


def _canonical(answer: str) -> str:
    try:
        normalized = normalize(answer)
    except limits.TooLarge:
        return answer.strip()
    try:
        return canonical_value(normalized)
    except limits.TooLarge:
        return key(normalized)


_remembered = lru_cache(maxsize=16384)(_canonical)


def readable(gold: str) -> Status | None:
    """Whether a gold can be graded against: `correct`, why not, or None for 'ask the pool'."""
    if not gold.strip():
        return "absent"
    try:
        normalized = normalize(gold)
        if not normalized or limits.looks_like_code(gold) or limits.looks_like_code(normalized):
            return "unparsable"
        if limits.too_heavy(normalized):
            return "limit"
        return "correct" if _plain(read(normalized)) else None
    except limits.TooLarge:
        return "limit"


def _plain(node: Node) -> bool:
    """Whether every part of an answer is words, a numeral or a number in plain sight."""
    if node.kind == "value":
        return rational(node.text) is not None
    return all(map(_plain, node.items))
