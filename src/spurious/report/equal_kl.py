"""Arms at equal KL to the start, for they do not move equally far in equal steps."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from spurious.analysis.by_run import kl_matched, kl_paths
from spurious.analysis.equal_kl import Path, common_grid
from spurious.report.figure import Figure, axis, layout, plain, slug
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.seeds import Shown, Table, of_model, seed_table

POINTS = 25
"""Distances at which an arm's curve is drawn."""


def kl_curves(material: Material, model: str, styles: Mapping[str, Style]) -> Iterator[Figure | None]:
    """Entropy, habit and accuracy as functions of the KL to the start, an arm a line."""
    habit = material.declared.habit
    paths = kl_paths(of_model(material.metrics, model), habit.column)
    yield _curve("entropy", "Entropy at equal KL", "nats", 1, model, paths, styles)
    yield _curve("code", f"{habit.shown.capitalize()} frequency at equal KL", "%", 100, model, paths, styles)
    yield _curve("accuracy", "Training accuracy at equal KL", "%", 100, model, paths, styles)


def kl_table(material: Material, model: str) -> Table | None:
    """The declared comparisons at equal KL."""
    habit = material.declared.habit
    shown = (
        Shown("KL", "common KL, nats", 1, 4),
        Shown("entropy", "entropy", 1, 3, sign=True),
        Shown("entropy last", "entropy, at the end", 1, 3, sign=True),
        Shown("code", f"{habit.shown}, points", 100, 1, sign=True),
        Shown("code last", f"{habit.shown}, at the end", 100, 1, sign=True),
        Shown("accuracy", "accuracy, points", 100, 1, sign=True),
        Shown("accuracy last", "accuracy, at the end", 100, 1, sign=True),
    )
    pairs = material.declared.pairs
    found = kl_matched(of_model(material.metrics, model), pairs, habit.column)
    return seed_table(
        "Differences at equal KL to the start",
        found,
        model,
        shown,
        [f"{first} − {second}" for first, second in pairs],
        note="Seed by seed, over the range of KL that both runs passed, and at its end; mean over seeds with its 95 % "
        "t interval. Undefined: one of the two has hardly moved.",
    )


def _curve(
    name: str,
    title: str,
    unit: str,
    scale: float,
    model: str,
    paths: Mapping[tuple[str, str, int], Mapping[str, Path]],
    styles: Mapping[str, Style],
) -> Figure | None:
    rows: list[dict[str, Any]] = []
    for arm in styles:
        mine = [found[name] for (_, one, _), found in paths.items() if one == arm and name in found]
        grid = common_grid(mine, POINTS) if mine else None
        if grid is not None:
            values = np.array([np.interp(grid, one.kl, one.value) for one in mine]) * scale
            rows += [
                {"arm": arm, "kl": float(x), "mean": float(v.mean()), "low": float(v.min()), "high": float(v.max())}
                for x, v in zip(grid, values.T, strict=True)
            ]
    if not rows:
        return None
    table = pl.DataFrame(rows)
    by_arm = {arm: table.filter(pl.col("arm") == arm) for arm in styles if arm in set(table["arm"])}
    words = (
        f"{arm} goes from {part['mean'][0]:.3g} to {part['mean'][-1]:.3g} at {part['kl'][-1]:.3g} nats"
        for arm, part in by_arm.items()
    )
    return Figure(
        slug=slug("equal-kl", name, model),
        title=title,
        full_title=f"{title}, {model}",
        caption="Mean over seeds, as far as every seed of the arm has gone; lowest and highest seed are in the CSV.",
        description=f"{title} ({unit}) on {model}: {'; '.join(words)}.",
        data=tuple(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [float(f"{value:.3g}") for value in part["kl"]],
                "y": [float(f"{value:.4g}") for value in part["mean"]],
                "line": {"color": styles[arm].ink, "width": 2.2, "dash": styles[arm].dash},
                "hovertemplate": f"{plain(arm)}: %{{y:.3~g}}<extra></extra>",
                "name": plain(arm),
                "meta": {"arm": arm},
            }
            for arm, part in by_arm.items()
        ),
        layout=layout(x=axis("KL to the start, nats a token"), y=axis(unit), hovermode="x"),
        table=table,
    )
