"""How answers were graded: the mix of correct, wrong, missing and unreadable ones, before and after."""

from collections.abc import Mapping
from typing import Any, get_args

import polars as pl

from spurious.report.bases import starts
from spurious.report.figure import Figure, axis, layout, percent, plain, slug
from spurious.report.material import Material
from spurious.types import Status

STATUSES: tuple[str, ...] = get_args(Status)


def grade_mix(material: Material, model: str) -> Figure | None:
    """One stacked bar for the base and for every arm at its last step: evaluations, or else training completions."""
    mixes = _of_evals(material, model) or _of_training(material, model)
    if not mixes:
        return None
    names = list(reversed(mixes))
    seen = [status for status in STATUSES if any(mix[status] for mix in mixes.values())]
    return Figure(
        slug=slug("grades", model),
        title=model,
        full_title=f"Grades, {model}",
        caption="",
        description=f"Grades on {model}: "
        + "; ".join(
            f"{arm}: " + ", ".join(f"{status} {percent(mix[status])}" for status in seen) for arm, mix in mixes.items()
        )
        + ".",
        data=tuple(_segment(status, names, [mixes[name][status] for name in names]) for status in seen),
        layout=layout(
            x=axis("% of answers", range=[0, 100]),
            y=axis(tickfont={"size": 13, "color": "@ink"}, showgrid=False),
            barmode="stack",
            bargap=0.35,
            showlegend=True,
            legend={"orientation": "h", "y": -0.3, "traceorder": "normal", "font": {"size": 12}},
            hovermode="closest",
        ),
        table=pl.DataFrame([{"model": model, "arm": arm, **mix} for arm, mix in mixes.items()]),
        height=130 + 36 * len(names),
    )


def _of_evals(material: Material, model: str) -> dict[str, dict[str, float]]:
    outcome = material.declared.outcome
    if outcome is None or not material.evals.height:
        return {}
    named = material.evals.select("bench", "model", "arm", "run", "step", "grade")
    rows = named.filter((pl.col("bench") == outcome.bench) & (pl.col("model") == model))
    parts = dict(starts(material, rows))
    for arm in material.arms:
        mine = rows.filter(pl.col("arm") == arm)
        parts[arm] = mine.filter((pl.col("step") == pl.col("step").max().over("run")) & (pl.col("step") > 0))
    return {
        name: {status: int((part["grade"] == status).sum()) / part.height for status in STATUSES}
        for name, part in parts.items()
        if part.height
    }


def _of_training(material: Material, model: str) -> dict[str, dict[str, float]]:
    columns = [f"grade/{status}" for status in STATUSES]
    if any(name not in material.metrics.columns for name in columns):
        return {}
    rows = material.metrics.filter(pl.col("model") == model)
    parts = dict(starts(material, rows))
    for arm in material.arms:
        mine = rows.filter(pl.col("arm") == arm)
        parts[arm] = mine.filter(pl.col("step") == pl.col("step").max().over("run"))
    means: Mapping[str, pl.DataFrame] = {
        name: part.select(pl.col(columns).mean()) for name, part in parts.items() if part.height
    }
    return {name: {status: float(mean[f"grade/{status}"][0]) for status in STATUSES} for name, mean in means.items()}


def _segment(status: str, names: list[str], shares: list[float]) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "y": [plain(name) for name in names],
        "x": [float(f"{100 * share:.4g}") for share in shares],
        "name": status,
        "marker": {"color": f"@{status}", "line": {"color": "@card", "width": 1}},
        "hovertemplate": f"%{{y}}: %{{x:.1f}} % {status}<extra></extra>",
    }
