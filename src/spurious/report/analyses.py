"""The numbers behind the sections, as tables: for a program, a notebook or a file beside the page."""

from dataclasses import dataclass

import polars as pl

from spurious.analysis.by_run import (
    bench_changes,
    code_and_accuracy,
    collapses,
    credits,
    kl_matched,
    onsets,
    passes,
    same_problems,
    step_and_signal,
    strategy_changes,
)
from spurious.analysis.seeds import summary
from spurious.report.long_run import train_benches
from spurious.report.material import Material


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis of every run and over the seeds of every arm."""

    seeds: pl.DataFrame
    """One value a run and quantity: `model`, `arm`, `seed`, `quantity`, `value`; null: undefined."""
    means: pl.DataFrame
    """Over seeds: `mean`, `low_95`, `high_95`, the number of `seeds` in which it is defined, `of` all."""


def analyses(material: Material) -> dict[str, Analysis]:
    """Every analysis of a study that has something to say, by name (docs/analyze.md says what each holds)."""
    habit = material.declared.habit.column
    tables = {
        "credit": credits(material.trained),
        "strategies": strategy_changes(material.metrics),
        "onset": onsets(material.metrics, habit),
        "same_problem": same_problems(material.trained, material.evals, habit),
        "correlation": code_and_accuracy(material.metrics, habit),
        "signal": step_and_signal(material.metrics),
        "equal_kl": kl_matched(material.metrics, material.declared.pairs, habit),
        "benches": bench_changes(material.evals, train_benches(material)),
        "pass": passes(material.evals),
        "collapse": collapses(material.metrics),
    }
    return {
        name: Analysis(table, summary(table, correlations=name == "correlation"))
        for name, table in tables.items()
        if table.height
    }
