"""Majority votes: which answers a problem's completions give, how often, and whether the winner is right.

Empty answers never vote, equivalent answers vote together, and ties are broken by the answers' text (the greatest
wins), so that the order of the completions never decides.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import polars as pl

from spurious.errors import DataError
from spurious.store.digests import check_noted
from spurious.types import Extraction, Problem, Status
from spurious.untrusted import read_parquet
from spurious.verify import canonical, equal, extract

VOTES_SCHEMA: dict[str, pl.DataType] = {
    "problem_id": pl.String(),
    "answer": pl.String(),
    "text": pl.String(),
    "votes": pl.Int64(),
    "n_samples": pl.Int64(),
    "n_empty": pl.Int64(),
}
"""One row per problem and different answer: the answer in canonical form and as first written, its votes, and of the
problem as a whole how many completions were sampled and how many gave no answer. A problem without any answer has one
row with a null answer and no votes."""

MERGE_HEADS = 3
"""With how many of the most common answers each rarer one is compared for equality, beyond its canonical form."""


@dataclass(frozen=True, slots=True)
class AnswerClass:
    """Equivalent answers: their canonical form, and the indices of the completions that gave them, in order."""

    answer: str
    members: tuple[int, ...]

    @property
    def rank(self) -> tuple[int, str]:
        """Sorts by votes, then by text."""
        return len(self.members), self.answer


def answer_classes(answers: Sequence[str | None]) -> list[AnswerClass]:
    """Group equivalent answers, the winner first; None and blank answers belong to no class.

    Answers are equal when their canonical forms are; the three most common classes also take in every other class that
    the verifier finds equal to them.
    """
    members: dict[str, tuple[int, ...]] = {}
    for i, answer in enumerate(answers):
        form = canonical(answer) if answer and answer.strip() else ""
        if form:
            members[form] = (*members.get(form, ()), i)
    by_form = sorted((AnswerClass(*item) for item in members.items()), key=lambda c: c.rank, reverse=True)
    merged: list[AnswerClass] = []
    for candidate in by_form:
        heads = merged[:MERGE_HEADS]
        twin = next((i for i, head in enumerate(heads) if equal(head.answer, candidate.answer) == "correct"), None)
        if twin is None:
            merged.append(candidate)
        else:
            together = tuple(sorted(merged[twin].members + candidate.members))
            merged[twin] = AnswerClass(merged[twin].answer, together)
    return sorted(merged, key=lambda c: c.rank, reverse=True)


def winner(completions: Sequence[str], extraction: Extraction) -> frozenset[int]:
    """The indices of the completions that give the most common answer; none when nobody gives an answer."""
    classes = answer_classes([extract(text, extraction) for text in completions])
    return frozenset(classes[0].members) if classes else frozenset()


def tally(texts_by_problem: Mapping[str, Sequence[str]], extraction: Extraction) -> pl.DataFrame:
    """Count the votes of each problem's completions: a table of `VOTES_SCHEMA`, the winner of each problem first.

    Args:
        texts_by_problem: the completions of each problem id, in the order of sampling.
        extraction: which text counts as the answer.
    """
    rows: list[tuple[str, str | None, str | None, int, int, int]] = []
    for problem_id, texts in texts_by_problem.items():
        answers = [extract(text, extraction) for text in texts]
        classes = answer_classes(answers)
        n_empty = len(texts) - sum(len(c.members) for c in classes)
        for c in classes:
            rows.append((problem_id, c.answer, answers[c.members[0]], len(c.members), len(texts), n_empty))
        if not classes:
            rows.append((problem_id, None, None, 0, len(texts), n_empty))
    return pl.DataFrame(rows, schema=VOTES_SCHEMA, orient="row")


def read_votes(path: Path) -> pl.DataFrame:
    """Read a table of votes.

    Raises:
        DataError: the file is missing or no parquet, a column is missing or of another type, or a row contradicts
            itself (an empty answer with votes, an answer twice, more votes than samples); names file, row and column.
    """
    votes = read_parquet(path)
    check_noted(path)
    for column, kind in VOTES_SCHEMA.items():
        if column not in votes.columns:
            raise DataError(f"{path}: no column {column!r}; a table of votes has {', '.join(VOTES_SCHEMA)}")
        if votes.schema[column] != kind:
            raise DataError(f"{path}: column {column!r} holds {votes.schema[column]}, not {kind}")
    votes = votes.select(*VOTES_SCHEMA)
    blank = (pl.col("answer").fill_null("").str.strip_chars() == "") | (
        pl.col("text").fill_null("").str.strip_chars() == ""
    )
    total = pl.col("votes").sum().over("problem_id") + pl.col("n_empty")
    faults = {
        "problem_id is null": pl.col("problem_id").is_null(),
        "an empty answer has votes": blank & (pl.col("votes") != 0),
        "an answer has no votes": ~blank & (pl.col("votes") < 1),
        "votes and n_empty do not add up to n_samples": total != pl.col("n_samples"),
        "the problem has this answer twice": pl.struct("problem_id", "answer").is_duplicated(),
    }
    for fault, wrong in faults.items():
        rows = votes.with_row_index("row").filter(wrong.fill_null(True))
        if rows.height:
            first = rows.row(0, named=True)
            raise DataError(f"{path}: row {first['row']} (problem {first['problem_id']!r}): {fault}")
    return votes


def ranked(votes: pl.DataFrame) -> dict[str, list[str]]:
    """The answers of each problem as first written, most votes first, ties by canonical text; never an empty one."""
    rows = votes.filter(pl.col("votes") > 0).sort("votes", "answer", descending=True)
    answers: dict[str, list[str]] = {}
    for problem_id, text in rows.select("problem_id", "text").iter_rows():
        answers.setdefault(problem_id, []).append(text)
    return answers


@dataclass(frozen=True, slots=True)
class LabelReport:
    """How good majority labels are; shares are in [0, 1], or None where there is nothing to take a share of."""

    problems: int
    labeled: int
    """Problems with at least one vote."""
    without_votes: int
    """Problems that the table does not mention."""
    only_empty: int
    """Problems whose every completion gave no answer."""
    accuracy: float | None
    """Share of the labeled problems whose majority label is right."""
    grades: dict[Status, int]
    """What the verifier says of the majority labels."""
    vote_share: float | None
    """Mean share of a labeled problem's completions that give its majority label."""
    empty_share: float | None
    """Share of all completions that give no answer."""


def label_report(votes: pl.DataFrame, problems: Sequence[Problem]) -> LabelReport:
    """Compare the majority labels of a table of `VOTES_SCHEMA` with the true answers of the problems."""
    answers = ranked(votes)
    mentioned = {row["problem_id"]: row for row in votes.sort("votes").iter_rows(named=True)}
    seen = [mentioned[problem.id] for problem in problems if problem.id in mentioned]
    labeled = [problem for problem in problems if problem.id in answers]
    counts = Counter(equal(problem.answer, answers[problem.id][0]) for problem in labeled)
    shares = [row["votes"] / row["n_samples"] for row in seen if row["votes"]]
    samples = sum(row["n_samples"] for row in seen)
    return LabelReport(
        problems=len(problems),
        labeled=len(labeled),
        without_votes=len(problems) - len(seen),
        only_empty=len(seen) - len(labeled),
        accuracy=counts["correct"] / len(labeled) if labeled else None,
        grades=dict(counts),
        vote_share=fmean(shares) if shares else None,
        empty_share=sum(row["n_empty"] for row in seen) / samples if samples else None,
    )
