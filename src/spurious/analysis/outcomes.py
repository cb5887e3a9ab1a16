"""From completion rows to y[seed, problem], and from two arms to paired differences.

A study's unit of replication is the seed: one training run. Problems are crossed with seeds, samples are inside a
problem. Every array here is (seeds, problems), both in ascending order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spurious.errors import DataError
from spurious.store.tables import BEHAVIOR

CORRECT = pl.col("grade") == "correct"
"""The usual outcome: whether a completion is right, by lenient extraction against the true answer."""


def outcome(metric: str) -> pl.Expr:
    """The value of a metric (`spurious.study.spec.METRICS`) on one completion row, as a number."""
    by_name = {
        "accuracy": CORRECT,
        "strict_accuracy": pl.col("strict_grade") == "correct",
        "tokens": pl.col("n_tokens"),
        "truncated": pl.col("stop") == "length",
    }
    return (pl.col(metric) if metric.startswith(BEHAVIOR) else by_name[metric]).cast(pl.Float64)


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One arm on one benchmark: what every run scored on every problem."""

    seeds: tuple[int, ...]
    problems: tuple[str, ...]
    means: NDArray[np.float64]
    """(seeds, problems), averaged over the samples of a problem."""
    samples: int
    """Samples per seed and problem."""
    noise: float | None
    """Mean sampling variance of one entry of `means`: x(1 - x) / (k - 1) for a share x; None for one sample."""


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Treatment minus placebo, seed by seed and problem by problem."""

    seeds: tuple[int, ...]
    problems: tuple[str, ...]
    values: NDArray[np.float64]
    """(seeds, problems)."""
    noise: float | None = None
    """Both arms' sampling variance of one entry, added: an upper bound where the arms share their random numbers."""

    @property
    def mean(self) -> float:
        """The effect: mean over seeds and problems."""
        return float(self.values.mean())

    @property
    def by_seed(self) -> NDArray[np.float64]:
        """(seeds,) every run pair's difference."""
        return np.asarray(self.values.mean(axis=1), dtype=np.float64)

    @property
    def by_problem(self) -> NDArray[np.float64]:
        """(problems,) differences averaged over the seeds."""
        return np.asarray(self.values.mean(axis=0), dtype=np.float64)


def read_outcomes(rows: pl.DataFrame, *, value: pl.Expr = CORRECT, where: str = "rows") -> Outcomes:
    """The outcomes of one arm from its completion rows, `value` averaged over samples.

    Args:
        rows: columns `seed`, `problem_id` and what `value` needs, as in `spurious.store.tables`; `copy` and `sample`,
            where present, must not repeat within a seed and problem. Rows of one step, one model and one arm.
        value: the outcome of one row, a number or a truth value.
        where: how messages call these rows, such as a file.

    Raises:
        DataError: a column, value, seed or problem is missing, a row is there twice, or samples differ in number.
    """
    needed = ["seed", "problem_id", *value.meta.root_names()]
    absent = [name for name in dict.fromkeys(needed) if name not in rows.columns]
    if absent:
        raise DataError(f"{where}: column {absent[0]!r} is missing; there are {', '.join(rows.columns)}")
    if rows.is_empty():
        raise DataError(f"{where}: there are no rows")
    if "step" in rows.columns and rows["step"].n_unique() > 1:
        raise DataError(f"{where}: rows of {rows['step'].n_unique()} steps; choose one (column 'step')")
    identity = [name for name in ("seed", "problem_id", "copy", "sample") if name in rows.columns]
    table = rows.select(*identity, value.cast(pl.Float64).alias("value"))
    _refuse(table.filter(~pl.col("value").is_finite().fill_null(False)), where, "has no finite value")
    if "sample" in identity:
        _refuse(table.filter(pl.struct(identity).is_duplicated()), where, "has one sample twice")
    cells = table.group_by("seed", "problem_id").agg(
        pl.col("value").mean().alias("mean"), pl.col("value").var().alias("variance"), pl.len().alias("samples")
    )
    seeds = tuple(int(seed) for seed in cells["seed"].unique().sort())
    problems = tuple(str(problem) for problem in cells["problem_id"].unique().sort())
    _refuse_holes(cells, seeds, problems, where)
    samples = int(cells["samples"].mode().min())  # type: ignore[arg-type]
    _refuse(cells.filter(pl.col("samples") != samples), where, f"does not have {samples} samples as the others do")
    ordered = cells.sort("seed", "problem_id")
    means = ordered["mean"].to_numpy().reshape(len(seeds), len(problems))
    noise = float(ordered["variance"].to_numpy().mean() / samples) if samples > 1 else None
    return Outcomes(seeds, problems, means, samples, noise)


def paired_differences(treatment: Outcomes, placebo: Outcomes, *, where: str = "the comparison") -> Differences:
    """Treatment minus placebo, paired by seed and by problem.

    Raises:
        DataError: one arm lacks a seed or a problem that the other has; the message names it.
    """
    for word, mine, theirs in (
        ("seed", treatment.seeds, placebo.seeds),
        ("problem", treatment.problems, placebo.problems),
    ):
        _refuse_unequal(word, mine, theirs, where)
    noises = (treatment.noise, placebo.noise)
    noise = None if noises[0] is None or noises[1] is None else noises[0] + noises[1]
    return Differences(treatment.seeds, treatment.problems, treatment.means - placebo.means, noise)


def _refuse_unequal(word: str, treatment: Sequence[int | str], placebo: Sequence[int | str], where: str) -> None:
    for arm, have, other in (("the treatment", treatment, placebo), ("the placebo", placebo, treatment)):
        missing = [item for item in other if item not in set(have)]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise DataError(f"{where}: {arm} lacks {word} {missing[0]!r}{more}; a difference is taken pair by pair")


def _refuse_holes(cells: pl.DataFrame, seeds: tuple[int, ...], problems: tuple[str, ...], where: str) -> None:
    if cells.height == len(seeds) * len(problems):
        return
    have = set(cells.select("seed", "problem_id").iter_rows())
    missing = [(seed, problem) for seed in seeds for problem in problems if (seed, problem) not in have]
    seed, problem = missing[0]
    more = f" ({len(missing)} such gaps)" if len(missing) > 1 else ""
    raise DataError(f"{where}: seed {seed} lacks problem {problem!r}, which other seeds have{more}")


def _refuse(bad: pl.DataFrame, where: str, what: str) -> None:
    if bad.height:
        first = bad.sort("seed", "problem_id").row(0, named=True)
        more = f" ({bad.height} such rows)" if bad.height > 1 else ""
        raise DataError(f"{where}: seed {first['seed']}, problem {first['problem_id']!r} {what}{more}")
