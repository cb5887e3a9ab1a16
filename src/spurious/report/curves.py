"""Curves over training steps: accuracy, code frequency, entropy, length and the like, one figure a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from spurious.report.figure import Figure, axis, layout, plain, slug
from spurious.report.habit import CODE, Habit
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.series import RAW_POINTS, bands, smoothed, thinned


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of the metrics and how it is shown."""

    column: str
    slug: str
    title: str
    unit: str
    scale: float = 1.0


def learning(habit: Habit) -> tuple[Quantity, ...]:
    """How an arm learned."""
    title = "Answers that reason in code" if habit == CODE else f"Answers with {habit.shown}"
    return (
        Quantity("truth/accuracy", "accuracy", "Accuracy on training problems", "%", 100),
        Quantity(habit.column, slug(habit.shown), title, "%", 100),
        Quantity("reward/mean", "reward", "Reward paid", "mean reward"),
    )


MEAN_POINTS = 75
"""Points of a curve that is drawn without its seeds."""

DISTRIBUTION = (
    Quantity("entropy/mean", "entropy", "Entropy of a token", "nats"),
    Quantity("probability/mean", "probability", "Mean probability of a token", ""),
    Quantity("tokens/mean_length", "length", "Length of an answer", "tokens"),
    Quantity("kl/to_start", "kl", "Distance from the start", "KL, nats a token"),
)
"""What became of the distribution."""


def training_curve(
    material: Material, quantity: Quantity, model: str, styles: Mapping[str, Style], *, raw: bool = True
) -> Figure | None:
    """One quantity on one model: per arm the mean and range over seeds, smoothed, over thin raw curves.

    None where nothing was measured. Without `raw` the thin curves are left out: what a small file can hold.
    """
    curves = points(material.metrics, quantity.column, model, quantity.scale)
    if curves is None:
        return None
    table = smoothed(curves)
    spread = bands(table)
    data: list[dict[str, Any]] = []
    for arm, style in styles.items():
        mine = table.filter(pl.col("arm") == arm)
        for (seed,), curve in mine.group_by("seed", maintain_order=True) if raw else ():
            data.append(_raw(arm, int(str(seed)), thinned(curve), style))
        data += _band(arm, thinned(spread.filter(pl.col("arm") == arm), 2 * RAW_POINTS), style)
    return Figure(
        slug=slug(quantity.slug, model),
        title=quantity.title,
        full_title=f"{quantity.title}, {model}",
        caption="",
        description=_in_words(quantity, model, spread),
        data=tuple(data),
        layout=layout(x=axis("training step"), y=axis(quantity.unit, **_range(spread)), hovermode="x"),
        table=table.select("arm", "seed", "step", pl.col("value").alias("raw"), pl.col("smooth").alias("smoothed")),
    )


def mean_curve(material: Material, quantity: Quantity, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """As `training_curve`, without a line for every seed: the mean and range alone, in the figure and in its table."""
    curves = points(material.metrics, quantity.column, model, quantity.scale)
    if curves is None:
        return None
    spread = bands(smoothed(curves))
    return Figure(
        slug=slug(quantity.slug, model),
        title=quantity.title,
        full_title=f"{quantity.title}, {model}",
        caption="",
        description=_in_words(quantity, model, spread),
        data=tuple(
            trace
            for arm, style in styles.items()
            for trace in _band(arm, thinned(spread.filter(pl.col("arm") == arm), MEAN_POINTS), style)
        ),
        layout=layout(x=axis("training step"), y=axis(quantity.unit, **_range(spread)), hovermode="x"),
        table=spread,
    )


def bench_curves(material: Material, model: str, styles: Mapping[str, Style]) -> Iterator[Figure]:
    """Accuracy on each benchmark over the steps at which it was evaluated, where there are more than two; as it is."""
    if not material.evals.height:
        return
    mine = material.evals.select("model", "bench", "arm", "seed", "step", "grade").filter(pl.col("model") == model)
    for (bench,), rows in mine.group_by("bench", maintain_order=True):
        if rows["step"].n_unique() < 3:
            continue
        quantity = Quantity("grade", slug("bench", str(bench)), f"Accuracy on {bench}", "%", 100)
        right = (100 * (pl.col("grade") == "correct").mean()).alias("smooth")
        table = rows.group_by("arm", "seed", "step").agg(right).sort("arm", "seed", "step")
        spread = bands(table)
        yield Figure(
            slug=slug(quantity.slug, model),
            title=quantity.title,
            full_title=f"{quantity.title}, {model}",
            caption="The benchmark, at every step it was asked; not smoothed.",
            description=_in_words(quantity, model, spread),
            data=tuple(
                trace
                for arm, style in styles.items()
                for trace in _band(arm, spread.filter(pl.col("arm") == arm), style, markers=True)
            ),
            layout=layout(x=axis("training step"), y=axis(quantity.unit), hovermode="x"),
            table=table.rename({"smooth": "accuracy_percent"}),
        )


def points(metrics: pl.DataFrame, column: str, model: str, scale: float = 1.0) -> pl.DataFrame | None:
    """Columns arm, seed, step, value of one metric on one model; None where it was never measured."""
    if column not in metrics.columns:
        return None
    value = (scale * pl.col(column).cast(pl.Float64)).alias("value")
    curves = metrics.filter(pl.col("model") == model).select("arm", "seed", "step", value)
    return curves if curves["value"].drop_nulls().len() else None


def _raw(arm: str, seed: int, curve: pl.DataFrame, style: Style) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": curve["step"].to_list(),
        "y": _rounded(curve["value"]),
        "line": {"color": style.faint(0.28), "width": 1},
        "hoverinfo": "skip",
        "name": f"{plain(arm)}, seed {seed}, raw",
        "meta": {"arm": arm},
        "showlegend": False,
    }


def _band(arm: str, spread: pl.DataFrame, style: Style, *, markers: bool = False) -> Iterator[dict[str, Any]]:
    steps = spread["step"].to_list()
    if not steps:
        return
    if spread["seeds"].max() != 1:
        yield {
            "type": "scatter",
            "mode": "lines",
            "x": steps + steps[::-1],
            "y": _rounded(spread["high"]) + _rounded(spread["low"])[::-1],
            "fill": "toself",
            "fillcolor": style.faint(0.16),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "name": f"{plain(arm)}, range",
            "meta": {"arm": arm},
            "showlegend": False,
        }
    yield {
        "type": "scatter",
        "mode": "lines+markers" if markers or len(steps) == 1 else "lines",
        "x": steps,
        "y": _rounded(spread["mean"]),
        "line": {"color": style.ink, "width": 2.5, "dash": style.dash},
        "marker": {"symbol": style.marker, "size": 8, "color": style.ink},
        "hovertemplate": f"{plain(arm)}: %{{y:.3~g}}<extra></extra>",
        "name": plain(arm),
        "meta": {"arm": arm},
    }


def _rounded(values: pl.Series) -> list[float | None]:
    return [None if value is None else float(f"{value:.4g}") for value in values.to_list()]


def _range(spread: pl.DataFrame) -> dict[str, Any]:
    """The axis starts at 0 where the curves come near it anyway; one that is 0 throughout lies on the ground."""
    low, high = min(spread["low"]), max(spread["high"])
    if low == high == 0:
        return {"range": [0, 1]}
    return {"rangemode": "tozero"} if 0 <= low < 0.5 * high else {}


def _in_words(quantity: Quantity, model: str, spread: pl.DataFrame) -> str:
    parts = []
    for (arm,), mine in spread.group_by("arm", maintain_order=True):
        first, last = mine.row(0, named=True), mine.row(-1, named=True)
        parts.append(
            f"{arm} goes from {first['mean']:.3g} at step {first['step']} to {last['mean']:.3g} at step {last['step']} "
            f"(seeds from {last['low']:.3g} to {last['high']:.3g})"
        )
    unit = f" ({quantity.unit})" if quantity.unit else ""
    return f"{quantity.title}{unit} on {model}: {'; '.join(parts)}."
