"""The tables of a study's results, each a small file beside its summary.

A table is a plain function of `Results`; one without rows is not written. Another analysis is another entry of TABLES.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from spurious.analysis import paired_differences
from spurious.analysis.signs import signs
from spurious.analysis.statistics import benjamini_hochberg, effect
from spurious.report.analyses import analyses as analyzed
from spurious.report.answer import Answer, answer, on_shared_seeds
from spurious.report.benches import Asked, asked
from spurious.report.effects import effect_table
from spurious.report.material import Material
from spurious.report.measures import Measured, measured
from spurious.report.series import thinned
from spurious.report.switches import strategy_switches

CURVE_POINTS = 50
"""Steps of a curve that are kept; longer ones are thinned evenly."""


@dataclass(frozen=True)
class Results:
    """What the tables are made from; each part is counted once."""

    material: Material

    @cached_property
    def answer(self) -> Answer | None:
        """The declared comparisons."""
        return answer(self.material)

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """Every number of every arm."""
        return tuple(measured(self.material))

    @cached_property
    def asked(self) -> tuple[Asked, ...]:
        """Every number of the untrained models, bench by bench, where a study trains nothing that it compares."""
        return () if self.material.declared.pairs else tuple(asked(self.material))


def levels(results: Results) -> pl.DataFrame:
    """What every arm reached: mean over seeds and problems with its 95 % interval, every metric on every benchmark."""
    rows = []
    for one in results.measured:
        low, high = one.level.estimate.interval() if one.level.estimate else (None, None)
        outcomes = one.level.outcomes
        rows.append(
            {
                "bench": one.bench,
                "metric": one.metric,
                "model": one.level.model,
                "arm": one.level.arm,
                "mean": one.level.mean,
                "low_95": low,
                "high_95": high,
                "interval_over": one.level.estimate.basis if one.level.estimate else None,
                "seeds": len(outcomes.seeds),
                "problems": len(outcomes.problems),
            }
        )
    return _frame(rows)


def effects(results: Results) -> pl.DataFrame:
    """The declared comparisons on the primary outcome."""
    found = results.answer
    return effect_table(found) if found is not None and found.effects else pl.DataFrame()


def explored(results: Results) -> pl.DataFrame:
    """The same comparisons on every other metric and benchmark: not declared, corrected by Benjamini and Hochberg."""
    declared = results.material.declared.outcome
    by_place = {(one.bench, one.metric, one.level.model, one.level.arm): one.level for one in results.measured}
    rows: list[dict[str, Any]] = []
    for bench, metric in dict.fromkeys((one.bench, one.metric) for one in results.measured):
        if declared is not None and (bench, metric) == (declared.bench, declared.metric):
            continue
        for treatment, placebo in results.material.declared.pairs:
            for model in results.material.models:
                mine, theirs = (by_place.get((bench, metric, model, arm)) for arm in (treatment, placebo))
                both = on_shared_seeds(mine, theirs)
                if both is None or both[0].means.size < 2:
                    continue
                differences = paired_differences(*both)
                estimate, counted = effect(differences), signs(differences.by_seed)
                low, high = estimate.interval()
                rows.append(
                    {
                        "bench": bench,
                        "metric": metric,
                        "model": model,
                        "treatment": treatment,
                        "placebo": placebo,
                        "difference": estimate.mean,
                        "low_95": low,
                        "high_95": high,
                        "interval_over": estimate.basis,
                        "p": estimate.p,
                        "seeds_up": counted.up,
                        "seeds_down": counted.down,
                    }
                )
    adjusted = benjamini_hochberg([row["p"] for row in rows])
    return _frame({**row, "p_bh": p} for row, p in zip(rows, adjusted, strict=True))


def contrasts(results: Results) -> pl.DataFrame:
    """One declared effect minus another, of one comparison on two models or of two comparisons on one model.

    'Significant here, not there' is not a difference; this is. Corrected by Benjamini and Hochberg.
    """
    found = results.answer
    if found is None or found.family is None:
        return pl.DataFrame()
    by_name = dict(zip(found.family.comparisons, found.effects, strict=True))
    related = []
    for contrast in found.family.contrasts:
        one, two = (by_name[name] for name in contrast.models)
        same = (one.treatment, one.placebo) == (two.treatment, two.placebo)
        if same or one.model == two.model:
            related.append((contrast, one, two))
    adjusted = benjamini_hochberg([contrast.p for contrast, _, _ in related])
    return _frame(
        {
            "model": one.model,
            "treatment": one.treatment,
            "placebo": one.placebo,
            "minus_model": two.model,
            "minus_treatment": two.treatment,
            "minus_placebo": two.placebo,
            "difference": contrast.difference,
            "low_95": contrast.interval[0],
            "high_95": contrast.interval[1],
            "p": contrast.p,
            "p_bh": p,
        }
        for (contrast, one, two), p in zip(related, adjusted, strict=True)
    )


def curves(results: Results) -> pl.DataFrame:
    """Training, step by step, not smoothed: mean over seeds, and the lowest and highest seed of accuracy and habit."""
    metrics = results.material.metrics
    habit = results.material.declared.habit
    ranged = {"truth/accuracy": "accuracy", habit.column: habit.shown.replace(" ", "_")}
    means = {
        "reward/mean": "reward",
        "probability/mean": "token_probability",
        "entropy/mean": "entropy",
        "kl/to_start": "kl_to_start",
        "ratio/clip_fraction_low": "clipped_low",
        "ratio/clip_fraction_high": "clipped_high",
        "tokens/mean_length": "tokens",
    }
    there = [name for name in (*ranged, *means) if name in metrics.columns]
    if not metrics.height or not there:
        return pl.DataFrame()
    table = (
        metrics.sort("model", "arm", "step", "seed")
        .group_by("model", "arm", "step", maintain_order=True)
        .agg(
            pl.len().alias("seeds"),
            *(pl.col(name).cast(pl.Float64).mean().alias((ranged | means)[name]) for name in there),
            *(pl.col(name).min().alias(f"{word}_low") for name, word in ranged.items() if name in there),
            *(pl.col(name).max().alias(f"{word}_high") for name, word in ranged.items() if name in there),
        )
    )
    runs = [
        thinned(table.filter((pl.col("model") == model) & (pl.col("arm") == arm)), CURVE_POINTS)
        for model in results.material.models
        for arm in results.material.arms
    ]
    return pl.concat(runs)


def switches(results: Results) -> pl.DataFrame:
    """Strategy switches from step 0 to the end, seeds pooled, with C_d and its lowest and highest seed."""
    rows = []
    for one in strategy_switches(results.material):
        shares = one.whole.contributions()
        for subset in one.whole.subsets:
            low, high = one.spread(subset.name) or (None, None)
            rows.append(
                {
                    "model": one.model,
                    "arm": one.arm,
                    "subset": subset.name,
                    "answers": subset.size,
                    "right_before": subset.before,
                    "right_after": subset.after,
                    "net": subset.net,
                    "contribution": shares[subset.name],
                    "lowest_seed": low,
                    "highest_seed": high,
                    "seeds": len(one.seeds),
                }
            )
    return _frame(rows)


def benches(results: Results) -> pl.DataFrame:
    """Untrained models on every benchmark: means with intervals over problems, and the difference to another bench."""
    return _frame(one.row() for one in results.asked)


def analyses(results: Results) -> pl.DataFrame:
    """What every analysis of `spurious.report.analyses` counts, over the seeds of each arm."""
    counted = analyzed(results.material).items()
    tables = [one.means.select(pl.lit(name).alias("analysis"), pl.all()) for name, one in counted]
    return pl.concat(tables) if tables else pl.DataFrame()


TABLES: dict[str, Callable[[Results], pl.DataFrame]] = {
    table.__name__: table for table in (levels, effects, explored, contrasts, curves, switches, analyses, benches)
}
"""By the name of the file."""


def _frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    found: Sequence[dict[str, Any]] = list(rows)
    return pl.DataFrame(found, infer_schema_length=None) if found else pl.DataFrame()
