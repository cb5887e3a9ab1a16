"""Text and gold in, grades out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from spurious.errors import DataError
from spurious.types import Extraction, Grade, Status
from spurious.verify import ladder, limits
from spurious.verify.extract import extract, gold_answer
from spurious.verify.ladder import STEPS, Step
from spurious.verify.normalize import normalize

GRADER_VERSION = "1"
"""Changes with every change of a rule of docs/grading.md; part of every result's identity."""

Grader = Literal["ladder", "math_verify"]
"""The rules of docs/grading.md, or math-verify alone on the same extracted answers."""

_settled: dict[tuple[Grader, str, str, tuple[Step, ...]], Status] = {}
_MAX_SETTLED = 50_000


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A completion on which the two graders do not say the same."""

    index: int
    """Position in the pairs that were asked about."""
    gold: str
    extracted: str | None
    ladder: Status
    math_verify: Status


def verify(text: str, gold: str, extraction: Extraction = "lenient") -> Grade:
    """Grade one completion against a true answer by docs/grading.md; never raises, whatever the text says."""
    return verify_many([(text, gold)], extraction=extraction)[0]


def verify_many(
    pairs: Sequence[tuple[str, str]],
    *,
    extraction: Extraction = "lenient",
    grader: Grader = "ladder",
    workers: int | None = None,
    steps: tuple[Step, ...] = STEPS,
) -> list[Grade]:
    """Grade (text, gold) pairs, in order; what needs the symbolic step shares the pool's workers.

    Args:
        pairs: completions and true answers.
        extraction: `strict` (only a box counts) or `lenient`.
        grader: `ladder`, or `math_verify` for the second opinion.
        workers: how many of the pool's processes this call may keep busy; None for all.
        steps: which steps of the ladder may speak; tests look at single ones.
    """
    answers = [_answer(text, gold, extraction) for text, gold in pairs]
    golds = [gold_answer(gold) for _, gold in pairs]
    found = _statuses(list(zip(golds, answers, strict=True)), grader, workers, steps)
    return [Grade(status, answer) for status, answer in zip(found, answers, strict=True)]


def _answer(text: str, gold: str, extraction: Extraction) -> str | None:
    """The extracted answer; leniently, a text that is the gold and nothing else is the answer as a whole."""
    if extraction == "lenient" and text.strip() == gold.strip() != "":
        return gold
    return extract(text, extraction)


def equal(a: str, b: str) -> Status:
    """Whether two extracted answers say the same: `correct`, or why not; `a` takes the part of the gold."""
    return _statuses([(a, b)], "ladder", None, STEPS)[0]


def check_gold(gold: str) -> None:
    """Check that a true answer can be graded against at all.

    Raises:
        DataError: it is empty, too large or unreadable.
    """
    for reason in unparsable_golds([gold]).values():
        raise DataError(f"answer {gold[:80]!r} cannot be graded against: {reason}")


def unparsable_golds(golds: Sequence[str], workers: int | None = None) -> dict[int, str]:
    """Index and reason of every true answer that cannot be graded against: empty, too large, unreadable."""
    reasons: dict[int, str] = {}
    asked: list[int] = []
    for index, gold in enumerate(golds):
        status = ladder.readable(gold_answer(gold))
        if status is None:
            asked.append(index)
        elif status != "correct":
            reasons[index] = _WHY_NOT[status]
    if asked:
        from spurious.verify import pool

        items = [(gold_answer(golds[index]), "") for index in asked]
        for index, status in zip(asked, pool.statuses("parse", items, STEPS, workers), strict=True):
            if status != "correct":
                reasons[index] = _WHY_NOT[status]
    return dict(sorted(reasons.items()))


def disagreements(pairs: Sequence[tuple[str, str]], *, extraction: Extraction = "lenient") -> list[Disagreement]:
    """Where the ladder and math-verify alone differ on whether a completion is correct."""
    first = verify_many(pairs, extraction=extraction)
    second = verify_many(pairs, extraction=extraction, grader="math_verify")
    return [
        Disagreement(index, pairs[index][1], one.extracted, one.status, other.status)
        for index, (one, other) in enumerate(zip(first, second, strict=True))
        if one.correct != other.correct
    ]


_WHY_NOT: dict[Status, str] = {
    "absent": "it is empty",
    "limit": "it is too long, too deep or too large a number to be compared safely",
    "unparsable": "no parser understands it",
    "timeout": "reading it takes too long",
    "failed": "the process that read it died",
}


def _statuses(
    pairs: list[tuple[str, str | None]], grader: Grader, workers: int | None, steps: tuple[Step, ...]
) -> list[Status]:
    """Settle what this process can, each distinct pair once, and ask the pool about the rest."""
    found: dict[tuple[str, str], Status] = {}
    asked: list[tuple[str, str]] = []
    for gold, answer in dict.fromkeys(pairs):
        if answer is None:
            continue
        status = _settled.get((grader, gold, answer, steps)) or _decide(gold, answer, grader, steps)
        if status is None:
            asked.append((gold, answer))
        else:
            found[gold, answer] = status
    if asked:
        from spurious.verify import pool

        job: Literal["compare", "math_verify"] = "compare" if grader == "ladder" else "math_verify"
        for pair, status in zip(asked, pool.statuses(job, asked, steps, workers), strict=True):
            found[pair] = status
            if status not in ("timeout", "failed") and sum(map(len, pair)) <= limits.MAX_CACHED:
                _settle((grader, *pair, steps), status)
    return ["absent" if answer is None else found[gold, answer] for gold, answer in pairs]


def _settle(question: tuple[Grader, str, str, tuple[Step, ...]], status: Status) -> None:
    if len(_settled) >= _MAX_SETTLED:
        _settled.clear()
    _settled[question] = status


def _decide(gold: str, answer: str, grader: Grader, steps: tuple[Step, ...]) -> Status | None:
    if grader == "math_verify":
        return _for_math_verify(gold, answer)
    short = len(gold) + len(answer) <= limits.MAX_CACHED
    return _remembered(gold, answer, steps) if short else ladder.decide(gold, answer, steps)


_remembered = lru_cache(maxsize=16384)(ladder.decide)


def _for_math_verify(gold: str, answer: str) -> Status | None:
    """Why math-verify alone is not asked about an answer, or None."""
    if not answer.strip():
        return "absent"
    try:
        normalized = normalize(answer)
    except limits.TooLarge:
        return "limit"
    if limits.too_complex(answer) or limits.too_complex(normalized):
        return "limit"
    code = limits.looks_like_code(answer) or limits.looks_like_code(normalized)
    return "unparsable" if code or not gold.strip() else None
