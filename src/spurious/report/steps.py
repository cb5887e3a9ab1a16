"""How far a step goes for how much signal it had: the confound of Adam."""

from collections.abc import Mapping
from statistics import fmean

import polars as pl

from spurious.analysis.by_run import NORM, SIGNAL, step_and_signal
from spurious.report.curves import MEAN_POINTS
from spurious.report.figure import Figure, axis, layout, plain, slug
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.seeds import Shown, Table, of_model, seed_table
from spurious.report.series import thinned

SHOWN = (
    Shown("signal", "groups with signal", 100, 1, " %"),
    Shown("norm", "norm of a step", 1, 3),
    Shown("norm of other steps", "norm, more signal", 1, 3),
    Shown("norm of faint steps", "norm, up to 10 % with signal", 1, 3),
    Shown("norm without signal", "norm, no signal", 1, 3),
    Shown("spearman", "rank correlation", 1, 2),
    Shown("KL a step", "KL a step, 10⁻³ nats", 1000, 2),
)


def signal_figure(material: Material, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """Share of groups with signal against the norm of the weight change, a point a step; None where it is not known."""
    if not {SIGNAL, NORM} <= set(material.metrics.columns):
        return None
    steps = (
        of_model(material.metrics, model)
        .drop_nulls([SIGNAL, NORM])
        .group_by("arm", "step")
        .agg((100 * pl.col(SIGNAL).mean()).alias("signal_percent"), pl.col(NORM).mean().alias("norm"))
        .sort("arm", "step")
    )
    if not steps.height:
        return None
    by_arm = {arm: steps.filter(pl.col("arm") == arm) for arm in styles}
    there = {arm: rows for arm, rows in by_arm.items() if rows.height}
    words = (
        f"{arm}: {fmean(rows['signal_percent']):.3g} % of groups, norm {fmean(rows['norm']):.3g}"
        for arm, rows in there.items()
    )
    return Figure(
        slug=slug("signal", model),
        title="Signal and size of a step",
        full_title=f"Signal and size of a step, {model}",
        caption="A point a step, mean over seeds. A step that went by its signal would rise from the origin; Adam "
        "makes a small gradient as large as any other.",
        description=f"Share of groups with signal and norm of the weight change, means on {model}: {'; '.join(words)}.",
        data=tuple(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [float(f"{value:.4g}") for value in thinned(rows, MEAN_POINTS)["signal_percent"]],
                "y": [float(f"{value:.4g}") for value in thinned(rows, MEAN_POINTS)["norm"]],
                "marker": {"symbol": styles[arm].marker, "size": 8, "color": styles[arm].faint(0.6)},
                "hovertemplate": f"{plain(arm)}: %{{y:.3g}} at %{{x:.3g}} %<extra></extra>",
                "name": plain(arm),
                "meta": {"arm": arm},
            }
            for arm, rows in there.items()
        ),
        layout=layout(
            x=axis("groups with signal (%)", rangemode="tozero"),
            y=axis("norm of the weight change", rangemode="tozero"),
            hovermode="closest",
        ),
        table=steps,
    )


def signal_table(material: Material, model: str) -> Table | None:
    """The same, with steps apart that had no signal, little, or more."""
    return seed_table(
        "Signal and size of a step",
        step_and_signal(of_model(material.metrics, model)),
        model,
        SHOWN,
        material.arms,
        note="Norm: 2-norm of the change of all weights over one rollout batch; missing in runs from before it was "
        "recorded. No signal: every group was paid one value, and what moves is the optimizer's momentum. Undefined: "
        "no such step. Mean over seeds with its 95 % t interval.",
    )
