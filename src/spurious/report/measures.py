"""Every number of an evaluation that each seed and problem has a value of, on every benchmark of a study.

The primary outcome is one of them; the others are there to be looked at, and are corrected as such.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from spurious.analysis import outcome, read_outcomes
from spurious.report.answer import ASKED, Level, level, reached
from spurious.report.material import Material
from spurious.scores import CODE, majority, pass_at_k, powers_of_two
from spurious.store.tables import BEHAVIOR

SHOWN = ("accuracy", "strict_accuracy", CODE, f"{BEHAVIOR}boxed", "tokens")
"""Numbers of one completion that are always looked at, where stored, beside the primary metric and the habit."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of one arm (or the base) on one model and benchmark."""

    bench: str
    metric: str
    level: Level


def measured(material: Material) -> Iterator[Measured]:
    """All numbers of all arms at the end, and of the base; the primary outcome at the step it was declared for."""
    declared = material.declared.outcome
    if declared is None or not material.evals.height:
        return
    metrics = tuple(dict.fromkeys((declared.metric, material.declared.habit.column, *SHOWN)))
    of_metrics = [name for metric in metrics for name in outcome(metric).meta.root_names()]
    needed = [name for name in (*ASKED, *of_metrics, "grade", "extracted") if name in material.evals.columns]
    evals = material.evals.select(*dict.fromkeys(needed))
    for bench in evals["bench"].unique().sort():
        for part in reached(material, evals.filter(pl.col("bench") == bench), declared.step):
            for metric, rows, value in _values(part.rows, metrics):
                where = f"{part.arm} on {part.model}, {metric} on {bench}"
                outcomes = read_outcomes(rows, value=value, where=where)
                yield Measured(bench, metric, level(part.model, part.arm, outcomes))


def _values(rows: pl.DataFrame, metrics: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame, pl.Expr]]:
    """Metric, rows and the value of a row: the metrics of one completion that were stored, and of several samples."""
    for metric in metrics:
        value = outcome(metric)
        if all(name in rows.columns and not rows[name].null_count() for name in value.meta.root_names()):
            yield metric, rows, value
    samples = several(rows)
    if samples is not None:
        for name in samples.columns[2:]:
            yield name, samples, pl.col(name)


def several(rows: pl.DataFrame) -> pl.DataFrame | None:
    """`pass@j` for every power of two, and `maj@k`, for each seed and problem with k samples; None for one sample.

    Problems that differ in their number of samples have no common k: None too.
    """
    asked = rows.group_by("seed", "problem_id").agg(
        pl.col("grade").eq("correct").alias("right"), pl.col("extracted"), pl.len().alias("k")
    )
    if asked["k"].n_unique() != 1 or asked["k"][0] == 1:
        return None
    k = int(asked["k"][0])
    columns = {"seed": asked["seed"], "problem_id": asked["problem_id"]}
    counts = asked["right"].list.sum().to_list()
    for j in powers_of_two(k)[1:]:
        columns[f"pass@{j}"] = pl.Series([pass_at_k(k, int(c), j) for c in counts])
    votes = zip(asked["extracted"].to_list(), asked["right"].to_list(), strict=True)
    columns[f"maj@{k}"] = pl.Series([float(majority(answers, right)) for answers, right in votes])
    return pl.DataFrame(columns)
