"""Answers known to be wrong: a number near or far from the truth, or the answer of another problem.

Everything is drawn by key, and every label is checked: one that the verifier finds equal to the truth, or cannot decide
on, is never handed out.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from spurious.keys import key, permutation, uniforms
from spurious.types import Problem
from spurious.verify import canonical, equal

NEAR_UNITS = 3
"""A near wrong number is 1 to 3 units of the last place (or of the fraction's numerator) away."""
FAR_FACTORS = (10, 99)
"""A far wrong number is 10 to 99 times max(1, |truth|) further from zero."""
ATTEMPTS = 16
"""How many other problems' answers are looked at for one that is wrong."""

_RATIONAL = re.compile(r"-?\d{1,300}(?:/\d{1,300})?")
_DECIMAL = re.compile(r"[+-]?\d*\.(\d{1,300})")

Numbers = Callable[[Fraction, Fraction, int], Iterator[Fraction]]
"""From a number, its unit and a key to candidates for a wrong one, in order of preference."""


def is_wrong(label: str, truth: str) -> bool:
    """Whether the verifier is sure that the label is not the true answer."""
    return equal(truth, label) in ("wrong", "unparsable")


def near_numbers(truth: Fraction, unit: Fraction, seed: int) -> Iterator[Fraction]:
    """The numbers up to `NEAR_UNITS` units away, in a keyed order; a number that is not negative stays so."""
    offsets = [sign * distance for distance in range(1, NEAR_UNITS + 1) for sign in (1, -1)]
    for i in permutation(seed, len(offsets)):
        number = truth + offsets[i] * unit
        if truth < 0 or number >= 0:
            yield number


def far_numbers(truth: Fraction, unit: Fraction, seed: int) -> Iterator[Fraction]:
    """Numbers further from zero by a keyed factor of `FAR_FACTORS` times max(1, |truth|), on the same side of it."""
    low, high = FAR_FACTORS
    sign = -1 if truth < 0 else 1
    for u in uniforms(seed, ATTEMPTS):
        yield truth + sign * (low + int(u * (high - low + 1))) * max(Fraction(1), abs(truth))


def wrong_number(answer: str, numbers: Numbers, seed: int) -> str | None:
    """A wrong label for a number, written as it is (integer, decimal or fraction); None for an answer that is none."""
    form = canonical(answer)
    if not _RATIONAL.fullmatch(form):
        return None
    truth = Fraction(form)
    decimal = _DECIMAL.fullmatch(answer.strip())
    places = len(decimal.group(1)) if decimal and truth.denominator != 1 else 0
    unit = Fraction(1, 10**places) if places else Fraction(1, truth.denominator)
    written = (_decimal(number, places) if places else str(number) for number in numbers(truth, unit, seed))
    return next((label for label in written if is_wrong(label, answer)), None)


def _decimal(number: Fraction, places: int) -> str:
    """A number that `places` digits after the point can write, written so."""
    digits = str(abs(number.numerator) * 10**places // number.denominator).zfill(places + 1)
    return f"{'-' if number < 0 else ''}{digits[:-places]}.{digits[-places:]}"


class AnswerPool:
    """The true answers of a set of problems, from which another problem's answer is drawn by key."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        pairs = sorted((canonical(problem.answer), problem.answer) for problem in problems)
        self._forms = [form for form, _ in pairs]
        self._answers = [answer for _, answer in pairs]

    def wrong_for(self, problem: Problem, seed: int) -> str | None:
        """A wrong answer drawn as often as problems have it, or None where no other answer is found to be wrong."""
        form = canonical(problem.answer)
        start, end = bisect_left(self._forms, form), bisect_right(self._forms, form)
        others = len(self._forms) - (end - start)
        for u in uniforms(seed, ATTEMPTS if others else 0):
            pick = int(u * others)
            label = self._answers[pick if pick < start else pick + end - start]
            if is_wrong(label, problem.answer):
                return label
        return None


def shuffled_answers(problems: Sequence[Problem], seed: int) -> dict[str, str]:
    """Each problem's label is another problem's answer, each answer used as often as it occurs.

    A keyed permutation of the problems in the order of their ids. A problem that would get its own truth trades with
    the next problem for which the trade leaves both wrong; where there is none (one answer belongs to more than half
    of the problems) it gets no label.
    """
    ordered = sorted({problem.id: problem for problem in problems}.values(), key=lambda problem: problem.id)
    forms = [canonical(problem.answer) for problem in ordered]
    given = permutation(key(seed, "label", "shuffled"), len(ordered))

    def wrong(i: int, j: int) -> bool:
        return forms[i] != forms[j] and is_wrong(ordered[j].answer, ordered[i].answer)

    hopeless: set[str] = set()
    unlabeled: set[int] = set()
    for i in range(len(ordered)):
        if wrong(i, given[i]):
            continue
        walk = () if forms[i] in hopeless else ((i + step) % len(ordered) for step in range(1, len(ordered)))
        partner = next((j for j in walk if wrong(i, given[j]) and wrong(j, given[i])), None)
        if partner is None:
            hopeless.add(forms[i])
            unlabeled.add(i)
        else:
            given[i], given[partner] = given[partner], given[i]
    return {ordered[i].id: ordered[given[i]].answer for i in range(len(ordered)) if i not in unlabeled}
