"""What a reward is told: the true answer, a majority vote, or an answer known to be wrong.

A label transform maps problems to labels and may leave problems out that it has no label for; it never hands out an
empty one. The true answer stays with the problem, so what is paid and what is true never mix.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from spurious.errors import NoLabelError, SpecError
from spurious.keys import key, uniforms
from spurious.signals.build import bind
from spurious.signals.votes import VOTES_SCHEMA, ranked, read_votes
from spurious.signals.wrong import (
    AnswerPool,
    Numbers,
    far_numbers,
    near_numbers,
    shuffled_answers,
    wrong_number,
)
from spurious.specs import LabelSpec
from spurious.store.fingerprint import digest
from spurious.types import Problem
from spurious.verify import equal

NO_VOTES = "the table of votes has no answer for it"
NO_WRONG_ANSWER = "no other problem has an answer known to be wrong for it"


@dataclass(frozen=True)
class Labeling:
    """The problems that have a label, in their given order, and the labels."""

    problems: tuple[Problem, ...]
    labels: Mapping[str, str]
    """Label by problem id; never empty."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many problems were left out, by reason."""

    @cached_property
    def digest(self) -> str:
        """Hex digest of who is told what: for the fingerprint of a run."""
        return digest(dict(self.labels))


@dataclass(frozen=True)
class _Unlabeled:
    """Stands in the place of a label and says why there is none."""

    reason: str


_Labels = Iterator[tuple[str, str | _Unlabeled]]
"""Problem id and label, one for every problem."""


def true(problems: Sequence[Problem], seed: int, /) -> _Labels:
    """The true answer."""
    for problem in problems:
        yield problem.id, problem.answer


def majority(problems: Sequence[Problem], seed: int, /, *, votes: pl.DataFrame) -> _Labels:
    """The most common answer among offline samples (`spurious label` writes the votes)."""
    return nth_vote(problems, seed, votes=votes, n=1)


def nth_vote(problems: Sequence[Problem], seed: int, /, *, votes: pl.DataFrame, n: int) -> _Labels:
    """The n-th most common answer, 1 being the majority; a problem with fewer different answers has no label."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise SpecError(f"nth_vote: n is a place in the order of votes, 1 or more, not {n!r}")
    answers = ranked(votes)
    for problem in problems:
        own = answers.get(problem.id, [])
        missing = NO_VOTES if not own else f"it has fewer than {n} different answers"
        yield problem.id, own[n - 1] if len(own) >= n else _Unlabeled(missing)


def least_common(problems: Sequence[Problem], seed: int, /, *, votes: pl.DataFrame) -> _Labels:
    """The answer with the fewest votes, right or wrong (the paper's code calls it the outlier); of one answer, none."""
    answers = ranked(votes)
    for problem in problems:
        own = answers.get(problem.id, [])
        missing = "all its answers are one" if own else NO_VOTES
        yield problem.id, own[-1] if len(own) > 1 else _Unlabeled(missing)


def incorrect_only(problems: Sequence[Problem], seed: int, /, *, votes: pl.DataFrame) -> _Labels:
    """The majority answer where it is wrong: the paper's incorrect reward.

    Whether it is wrong is decided anew by our verifier, and a label that it cannot decide on is left out too.
    """
    truths = {problem.id: problem.answer for problem in problems}
    for problem_id, label in majority(problems, seed, votes=votes):
        if isinstance(label, _Unlabeled):
            yield problem_id, label
            continue
        match equal(truths[problem_id], label):
            case "wrong" | "unparsable":
                yield problem_id, label
            case "correct":
                yield problem_id, _Unlabeled("its majority answer is right")
            case undecided:
                yield problem_id, _Unlabeled(f"the verifier cannot decide on its majority answer ({undecided})")


def near(problems: Sequence[Problem], seed: int, /) -> _Labels:
    """A wrong number close to the truth; an answer that is no number gets another problem's answer."""
    return _wrong_numbers(problems, seed, "near", near_numbers)


def far(problems: Sequence[Problem], seed: int, /) -> _Labels:
    """A wrong number far from the truth; an answer that is no number gets another problem's answer."""
    return _wrong_numbers(problems, seed, "far", far_numbers)


def shuffled(problems: Sequence[Problem], seed: int, /) -> _Labels:
    """The true answers, permuted among the problems so that nobody is told its own."""
    labels = shuffled_answers(problems, seed)
    for problem in problems:
        yield problem.id, labels.get(problem.id, _Unlabeled(NO_WRONG_ANSWER))


def noise(problems: Sequence[Problem], seed: int, /, *, p: float) -> _Labels:
    """A share p of the problems, drawn one by one, is told another problem's answer, which is wrong for it.

    The problems that are noisy at one p are noisy at every larger one.
    """
    if isinstance(p, bool) or not isinstance(p, int | float) or not math.isfinite(p) or not 0 <= p <= 1:
        raise SpecError(f"noise: p is a share between 0 and 1, not {p!r}")
    pool = AnswerPool(problems)
    for problem in problems:
        noisy = uniforms(key(seed, "label", "noise", problem.id), 1)[0] < p
        yield problem.id, _others_answer(pool, problem, seed) if noisy else problem.answer


def _wrong_numbers(problems: Sequence[Problem], seed: int, /, purpose: str, numbers: Numbers) -> _Labels:
    pool = AnswerPool(problems)
    for problem in problems:
        label = wrong_number(problem.answer, numbers, key(seed, "label", purpose, problem.id))
        yield problem.id, label if label is not None else _others_answer(pool, problem, seed)


def _others_answer(pool: AnswerPool, problem: Problem, seed: int) -> str | _Unlabeled:
    label = pool.wrong_for(problem, key(seed, "label", "other", problem.id))
    return label if label is not None else _Unlabeled(NO_WRONG_ANSWER)


LABELS: dict[str, Callable[..., _Labels]] = {
    transform.__name__: transform
    for transform in (true, majority, nth_vote, least_common, incorrect_only, near, far, shuffled, noise)
}
"""Every label transform by name; `votes` is the path of a table that `spurious label` wrote."""


def build_labels(spec: LabelSpec, problems: Sequence[Problem], seed: int, base: Path | None = None) -> Labeling:
    """Label the problems as a specification asks.

    Args:
        spec: one of `LABELS` with its parameters.
        problems: all problems of the task, each with its true answer.
        seed: the run's seed; the draws of one problem depend on nothing but it, the problem and, where an answer is
            borrowed, the other problems' answers.
        base: the directory that a relative path of votes starts from; the working directory by default.

    Raises:
        SpecError: an unknown name or parameter; names the field and what exists.
        DataError: the table of votes cannot be used.
        NoLabelError: no problem is left.
    """
    transform, parameters = _bound(spec)
    if "votes" in parameters:
        parameters["votes"] = read_votes(_path(parameters["votes"], base))
    labels: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    for problem_id, label in transform(problems, seed, **parameters):
        if isinstance(label, _Unlabeled):
            dropped[label.reason] += 1
        elif not label.strip():
            dropped["its label is empty"] += 1
        else:
            labels[problem_id] = label
    if not labels:
        reasons = "; ".join(f"{count} because {reason}" for reason, count in dropped.items()) or "there are no problems"
        raise NoLabelError(f"label {spec.name!r} leaves no problem to train on: {reasons}")
    kept = tuple(problem for problem in problems if problem.id in labels)
    return Labeling(kept, labels, dict(dropped))


def check_label(spec: LabelSpec) -> None:
    """Refuse an unknown name or parameter while the votes that a label reads are not there yet.

    Raises:
        SpecError: as `build_labels` does.
    """
    transform, parameters = _bound(spec)
    if "votes" in parameters:
        parameters["votes"] = pl.DataFrame(schema=VOTES_SCHEMA)
    for _ in transform((), 0, **parameters):
        pass


def _bound(spec: LabelSpec) -> tuple[Callable[..., _Labels], dict[str, Any]]:
    transform = LABELS.get(spec.name)
    if transform is None:
        raise SpecError(f"label.name: unknown label transform {spec.name!r}; there are {', '.join(LABELS)}")
    return transform, bind(transform, f"label ({spec.name})", spec.args, (), 0).kwargs


def _path(value: Any, base: Path | None) -> Path:
    if not isinstance(value, str | Path):
        raise SpecError(f"label.args.votes must be the path of a parquet file, not {value!r}")
    return Path(value) if base is None else base / value
