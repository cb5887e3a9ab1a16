"""Untrained models, asked in several ways: every bench with intervals over problems, and against the one it varies.

Nothing is trained here, so seeds are no replication: where sampling is greedy they agree to the last digit, else they
are more samples of the same problems.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from spurious.analysis import CORRECT, outcome
from spurious.analysis.levels import Level, apart, change, level
from spurious.report.answer import reached
from spurious.report.bases import BASE
from spurious.report.material import Material
from spurious.report.measures import SHOWN
from spurious.scores import CODE
from spurious.signals.votes import answer_classes
from spurious.specs import BenchSpec


@dataclass(frozen=True, slots=True)
class Asked:
    """One number of one untrained model on one bench."""

    bench: str
    model: str
    metric: str
    level: Level
    """Every problem weighs the same; a share among answers with code is over the problems that have one."""
    against: str
    """The bench it is compared with; empty for the first."""
    difference: Level | None
    """To the same number there; None where there is nothing to compare."""
    p: float | None
    paired: bool
    """By problem; else the benches ask different problems."""

    def row(self) -> dict[str, Any]:
        """As a row of a table."""
        low, high = self.level.interval or (None, None)
        change_low, change_high = (self.difference.interval if self.difference else None) or (None, None)
        return {
            "bench": self.bench,
            "model": self.model,
            "metric": self.metric,
            "mean": self.level.mean,
            "low_95": low,
            "high_95": high,
            "problems": self.level.n,
            "against": self.against,
            "difference": self.difference.mean if self.difference else None,
            "difference_low_95": change_low,
            "difference_high_95": change_high,
            "difference_p": self.p,
            "paired": self.paired,
        }


Values = Mapping[str, float]
"""By problem: the mean over its samples and seeds."""


def asked(material: Material) -> Iterator[Asked]:
    """Every bench of every model at step 0, each against the first bench, or the first that samples like it.

    In the order in which the study declares benches; sampling alike means: as many samples a problem, and as greedy.
    """
    numbers: dict[tuple[str, str], dict[str, Values]] = {}
    order = _bench_order(material)
    for bench in order:
        rows = material.evals.filter((pl.col("bench") == bench) & (pl.col("step") == 0))
        for part in reached(material, rows, 0):
            if part.arm == BASE:
                numbers[bench, part.model] = _numbers(part.rows)
    for (bench, model), found in numbers.items():
        against = _reference(bench, order)
        for metric, values in found.items():
            if values:
                other = numbers.get((against, model), {}).get(metric, {})
                difference, p, paired = _difference(values, other)
                yield Asked(bench, model, metric, level([*values.values()]), against, difference, p, paired)


def _bench_order(material: Material) -> Mapping[str, tuple[int, bool]]:
    """Benches as declared, each with how it samples: how often, and whether greedily."""
    spec = next(iter(material.manifests.values()))["spec"] if material.manifests else {"benches": []}
    found = {}
    for bench in map(BenchSpec.model_validate, spec["benches"]):
        found[bench.slug] = (bench.k, bench.sampling.temperature == 0)
    return found


def _reference(bench: str, order: Mapping[str, tuple[int, bool]]) -> str:
    alike = next(name for name, sampling in order.items() if sampling == order[bench])
    if alike != bench:
        return alike
    first = next(iter(order))
    return "" if first == bench else first


def _numbers(rows: pl.DataFrame) -> dict[str, Values]:
    """By metric; accuracy also apart for answers with the paper's strategy and without."""
    found = {}
    for metric in SHOWN:
        value = outcome(metric)
        if all(name in rows.columns and not rows[name].null_count() for name in value.meta.root_names()):
            found[metric] = _by_problem(rows, value)
    if CODE in found:
        found["accuracy with code"] = _by_problem(rows.filter(pl.col(CODE) > 0), CORRECT)
        found["accuracy without code"] = _by_problem(rows.filter(pl.col(CODE) == 0), CORRECT)
    votes = _votes(rows)
    if votes is not None:
        found |= {name: _by_problem(votes, pl.col(name)) for name in votes.columns if name != "problem_id"}
    return found


def _by_problem(rows: pl.DataFrame, value: pl.Expr) -> Values:
    means = rows.group_by("problem_id").agg(value.cast(pl.Float64).mean().alias("mean")).sort("problem_id")
    return dict(means.iter_rows())


def _votes(rows: pl.DataFrame) -> pl.DataFrame | None:
    """For each seed and problem: is the majority right, which share voted for it, which gave no answer; else None."""
    groups = rows.group_by("seed", "problem_id").agg("extracted", CORRECT.alias("right")).sort("seed", "problem_id")
    if groups["extracted"].list.len().min() == 1:
        return None
    counted = []
    for answers, right in groups.select("extracted", "right").iter_rows():
        classes = answer_classes(answers)
        members = classes[0].members if classes else ()
        voted = sum(len(one.members) for one in classes)
        counted.append((any(right[i] for i in members), len(members) / len(answers), 1 - voted / len(answers)))
    counts = pl.DataFrame(counted, schema=["majority right", "vote share", "no answer"], orient="row")
    return counts.with_columns(groups["problem_id"])


def _difference(values: Values, other: Values) -> tuple[Level | None, float | None, bool]:
    """To the other bench, its p, and whether it is paired.

    By problem where both ask the same, apart where they share none. Nothing where they share some: which problems are
    answered in code would be part of the difference.
    """
    if values.keys() == other.keys():
        changed = change([other[problem] for problem in values], [*values.values()])
        return changed.difference, changed.p, True
    if values.keys() & other.keys() or min(len(values), len(other)) < 2:
        return None, None, False
    difference, p = apart([*values.values()], [*other.values()])
    return difference, p, False
