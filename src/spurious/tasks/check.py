"""What is wrong with a problem set, row by row: the work behind `spurious check-data`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from spurious.tasks.base import Task
from spurious.tasks.load import Field, place, unusable
from spurious.tasks.overlap import NGRAM, normal, shared_runs
from spurious.types import Problem

Kind = Literal["unusable", "duplicate", "near-duplicate", "contradiction", "undecided", "overlap", "partial-overlap"]
"""unusable: an empty question, or a true answer that is empty or that no parser understands; duplicate: an earlier
question verbatim; near-duplicate: the same letters, digits, operators; contradiction: a duplicate of either sort with
another answer; undecided: the same, but the grader could not tell whether it is another; overlap: a near-duplicate of a
question in the other set; partial-overlap: half or more of its runs of 13 words stand in one question there."""

SHARE = 0.5
"""The share of its runs of 13 words from which on a question overlaps partially."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one row."""

    where: str
    """File and row (from 1), or source and id of a generated problem."""
    field: Field
    kind: Kind
    message: str


def check(task: Task, against: Task | None = None) -> list[Finding]:
    """Everything found in a task as `read_task` gives it, in the order of its rows.

    With `against` also the questions of `task` that stand there too: a test set checked against a training set, say.
    """
    found = [*_unusable(task), *_repeated(task)]
    if against is not None:
        found += _overlapping(task.problems, against.problems)
    return [finding for _, finding in sorted(found, key=lambda numbered: numbered[0])]


def _unusable(task: Task) -> Iterator[tuple[int, Finding]]:
    for i, (field, reason) in unusable(task).items():
        yield i, Finding(place(task.problems[i]), field, "unusable", reason)


def _repeated(task: Task) -> Iterator[tuple[int, Finding]]:
    """Duplicates, and of these the ones whose answers disagree."""
    problems = task.problems
    verbatim: dict[str, int] = {}
    near: dict[str, int] = {}
    differing: list[tuple[int, int]] = []
    for i, problem in enumerate(problems):
        letters = normal(problem.question)
        if not letters:
            continue
        first = verbatim.get(problem.question, near.get(letters))
        verbatim.setdefault(problem.question, i)
        near.setdefault(letters, i)
        if first is None:
            continue
        kind: Kind = "duplicate" if problem.question == problems[first].question else "near-duplicate"
        yield i, Finding(place(problem), "question", kind, f"the same question as {place(problems[first])}")
        if problem.answer != problems[first].answer:
            differing.append((i, first))
    yield from _contradictions(task, differing)


def _contradictions(task: Task, differing: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Finding]]:
    """Ask the task's own grader whether the later answer is right for the earlier problem: 1/2 and 0.5 agree."""
    problems = task.problems
    grades = task.grade([(f"\\boxed{{{problems[i].answer}}}", problems[first]) for i, first in differing], "strict")
    for (i, first), grade in zip(differing, grades, strict=True):
        if grade.status == "correct":
            continue
        answers = f"{problems[i].answer!r} here, {problems[first].answer!r} in {place(problems[first])}"
        if grade.status == "wrong":
            yield i, Finding(place(problems[i]), "answer", "contradiction", answers)
        else:
            yield i, Finding(place(problems[i]), "answer", "undecided", f"{answers} (comparison: {grade.status})")


def _overlapping(problems: Sequence[Problem], others: Sequence[Problem]) -> Iterator[tuple[int, Finding]]:
    known = {normal(other.question): other for other in reversed(others)}
    runs = shared_runs([problem.question for problem in problems], [other.question for other in others])
    for i, (problem, run) in enumerate(zip(problems, runs, strict=True)):
        twin = known.get(normal(problem.question))
        if twin is not None:
            agrees = "with the same answer" if twin.answer == problem.answer else f"with answer {twin.answer!r}"
            yield i, Finding(place(problem), "question", "overlap", f"also {place(twin)}, {agrees}")
        elif run is not None and run[0] >= SHARE:
            share, j = run
            message = f"{share:.0%} of its runs of {NGRAM} words stand in {place(others[j])}"
            yield i, Finding(place(problem), "question", "partial-overlap", message)


def as_dicts(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as plain dictionaries, for JSON."""
    return [asdict(finding) for finding in findings]


def as_table(findings: Sequence[Finding]) -> str:
    """Findings as lines of text under a header, with a last line that counts them by kind."""
    rows = [("where", "field", "kind", "message")] + [(f.where, f.field, f.kind, f.message) for f in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]) for row in rows]
    counts = Counter(finding.kind for finding in findings)
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) or "nothing found"
    return "\n".join([*lines, summary] if findings else [summary])
