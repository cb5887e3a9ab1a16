"""Numbers that every run has one of, over the seeds of an arm: the seed is the unit, whatever is counted within a run.

Tables are long: columns `model`, `arm`, `seed`, `quantity`, `value`, where a null value is an undefined one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import atanh, tanh

import polars as pl

from spurious.analysis.statistics import t_estimate

LONG: dict[str, type[pl.DataType]] = {
    "model": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    "quantity": pl.String,
    "value": pl.Float64,
}
"""The columns of a long table."""

LARGEST_CORRELATION = 0.9999
"""Fisher's z of 1 is infinite; a correlation beyond this counts as this."""


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """One number over the seeds of an arm."""

    mean: float | None
    """None: undefined in every seed."""
    low_95: float | None
    """Of the 95 % t interval over seeds; None with fewer than two values, and where all seeds agree to the last digit
    (an interval of width zero would claim too much)."""
    high_95: float | None
    seeds: int
    """Seeds in which it is defined."""
    of: int
    """Seeds in all."""


def over_seeds(values: Sequence[float | None], *, correlation: bool = False) -> OverSeeds:
    """Mean and 95 % t interval of one value a seed, None where it is undefined.

    Correlations are averaged as Fisher's z = atanh r, and the mean and the interval's ends are turned back.
    """
    known = [value for value in values if value is not None]
    if not known:
        return OverSeeds(None, None, None, 0, len(values))
    scaled = [_z(value) for value in known] if correlation else known
    if len(known) == 1:
        return OverSeeds(known[0], None, None, 1, len(values))
    estimate = t_estimate(scaled)
    ends: tuple[float | None, float | None] = estimate.interval() if estimate.error > 0 else (None, None)
    mean, low, high = (None if x is None else tanh(x) if correlation else x for x in (estimate.mean, *ends))
    return OverSeeds(mean, low, high, len(known), len(values))


def long(rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """Rows as a long table, also where there is none."""
    return pl.DataFrame(list(rows), schema=LONG, orient="row")


def summary(table: pl.DataFrame, *, correlations: bool = False) -> pl.DataFrame:
    """A long table over its seeds: columns `model`, `arm`, `quantity` and those of `OverSeeds`, in their order."""
    groups = table.group_by("model", "arm", "quantity", maintain_order=True).agg("value")
    schema = {name: LONG[name] for name in ("model", "arm", "quantity")}
    rows = [
        {"model": model, "arm": arm, "quantity": name, **asdict(over_seeds(values, correlation=correlations))}
        for model, arm, name, values in groups.iter_rows()
    ]
    counts = {"seeds": pl.Int64, "of": pl.Int64}
    return pl.DataFrame(
        rows, schema={**schema, **dict.fromkeys(("mean", "low_95", "high_95"), pl.Float64), **counts}, orient="row"
    )


def _z(correlation: float) -> float:
    return atanh(max(-LARGEST_CORRELATION, min(LARGEST_CORRELATION, correlation)))
