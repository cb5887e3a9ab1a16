"""What a task is: problems with content-derived ids, the words they are asked in, and how their answers are graded."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spurious.types import Extraction, Grade, Problem
from spurious.verify import verify_many

Grader = Callable[[Sequence[tuple[str, Problem]], Extraction], list[Grade]]
"""Grades (completion text, problem) pairs against the problems' true answers, one grade per pair, in order."""


def content_id(question: str, answer: str) -> str:
    """16 hexadecimal digits that depend on the question and the answer and on nothing else.

    Two verbatim copies of a row share an id: they are the same problem, wherever they stand.
    """
    return hashlib.sha256(f"{question}\x00{answer}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def make_problem(question: str, answer: str, source: str, kind: str = "", **metadata: Any) -> Problem:
    """A problem whose id comes from its content."""
    return Problem(content_id(question, answer), question, answer, source, kind, metadata)


def restated(problem: Problem, question: str, answer: str | None = None) -> Problem:
    """The problem with another question (and answer), and the id that belongs to them; all else stays."""
    answer = problem.answer if answer is None else answer
    return replace(problem, id=content_id(question, answer), question=question, answer=answer)


def grade_math(pairs: Sequence[tuple[str, Problem]], extraction: Extraction) -> list[Grade]:
    """Grade against the problems' answers as mathematics: `spurious.verify` on (text, problem.answer)."""
    return verify_many([(text, problem.answer) for text, problem in pairs], extraction=extraction)


@dataclass(frozen=True)
class Task:
    """Problems, how they are asked and how they are graded.

    `task.grade(pairs, "strict")` takes any number of (text, problem) pairs and returns one Grade each; training and
    evaluation call it and nothing else, so that they need not know which kind of task they have.
    """

    name: str
    problems: tuple[Problem, ...]
    template: str = "auto"
    """What a spec's template `auto` means here: a name of `spurious.tasks.prompts.TEMPLATES`, or again `auto`."""
    source: dict[str, Any] = field(default_factory=dict)
    """Where the problems come from, for the manifest: files with their sha256, hub revision, generator arguments,
    dropped rows."""
    grade: Grader = grade_math

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over the problems' ids in order: two tasks share it iff they hold the same problems."""
        return hashlib.sha256("".join(problem.id for problem in self.problems).encode()).hexdigest()[:16]
