"""What the ratio and its clip did: histogram, clipped share by side, and the clip bias."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import polars as pl

from spurious.report.curves import points
from spurious.report.figure import Figure, axis, layout, percent, plain, slug
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.series import bands, smoothed
from spurious.store.tables import RATIO_EDGES

CENTERS = tuple(2 ** (k / 16) for k in range(-17, 18))
"""Where the bins of the ratio histogram are drawn; the first and the last hold everything beyond."""


def ratio_histogram(material: Material, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """Where the ratios of all trained tokens lie, pooled over steps, updates and seeds; the clip's bounds as lines."""
    if "ratio/histogram" not in material.metrics.columns:
        return None
    mine = material.metrics.filter(pl.col("model") == model)
    counts = {arm: histogram(mine.filter(pl.col("arm") == arm)["ratio/histogram"]) for arm in styles}
    shares = {arm: [n / sum(row) for n in row] for arm, row in counts.items() if sum(row)}
    if not shares:
        return None
    bounds = clip_bounds(material, model)
    inside = {arm: sum(row[16:19]) for arm, row in shares.items()}
    return Figure(
        slug=slug("ratio", model),
        title="Ratio, new to old",
        full_title=f"Ratio of new to old probability, {model}",
        caption="Share of trained tokens, log scale, all steps and seeds. Dotted: the clip's bounds.",
        description=f"Ratio histogram on {model}: "
        + "; ".join(f"{arm} has {percent(share)} of its tokens between 0.94 and 1.07" for arm, share in inside.items())
        + f". Clip bounds: {', '.join(f'{bound:g}' for bound in bounds) or 'none'}.",
        data=tuple(_steps(arm, share, styles[arm]) for arm, share in shares.items()),
        layout=layout(
            x=axis("ratio", type="log", tickvals=[0.5, 0.8, 1, 1.2, 2]),
            y=axis("share of tokens", type="log", exponentformat="power", dtick=1),
            shapes=[_bound(bound) for bound in bounds],
            hovermode="x",
        ),
        table=pl.DataFrame(
            [
                {"arm": arm, "from": low, "to": high, "tokens": int(n)}
                for arm in shares
                for n, low, high in zip(counts[arm], (0.0, *RATIO_EDGES), (*RATIO_EDGES, float("inf")), strict=True)
            ]
        ),
    )


def histogram(lists: pl.Series) -> list[float]:
    """Histograms of many steps as one."""
    rows = lists.drop_nulls().to_list()
    return [float(sum(column)) for column in zip(*rows, strict=True)] if rows else []


def clip_bounds(material: Material, model: str) -> list[float]:
    """The bounds in force in any arm on this model; arms without a clip add none."""
    runs = {cell.run for cell in material.cells if cell.model == model}
    grpo = [manifest["spec"]["grpo"] for run, manifest in material.manifests.items() if run in runs]
    clipped = [one for one in grpo if one["surrogate"] == "ratio"]
    low = {1 - one["clip_low"] for one in clipped if one["clip_low"] is not None}
    high = {1 + one["clip_high"] for one in clipped if one["clip_high"] is not None}
    return sorted(round(bound, 6) for bound in low | high)


def clip_fraction(material: Material, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """The share of tokens whose gradient the clip removed: upper side upwards, lower side downwards."""
    sides = {
        "above": points(material.metrics, "ratio/clip_fraction_high", model, 100),
        "below": points(material.metrics, "ratio/clip_fraction_low", model, -100),
    }
    largest = max((float(abs(c["value"]).max() or 0.0) for c in sides.values() if c is not None), default=0.0)  # type: ignore[arg-type]
    return _mirrored(
        sides,
        styles,
        "clip",
        "Clipped tokens, by side",
        model,
        "Up: above the upper bound with A > 0. Down: below the lower bound with A < 0.",
        axis("% of tokens", **_unsigned(largest)),
    )


def clip_bias(material: Material, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """The estimated bias of the clip, by side: what it does to the policy even if rewards mean nothing."""
    sides = {
        "raises what fell below": points(material.metrics, "clip_bias/expected_low", model),
        "lowers what rose above": points(material.metrics, "clip_bias/expected_high", model),
    }
    return _mirrored(
        sides,
        styles,
        "bias",
        "Clip bias, by side",
        model,
        "Coefficient on grad log π if rewards meant nothing (paper, appendix B.1.2). Up: raises tokens that fell below "
        "the band. Down: lowers those that rose above it.",
        axis("coefficient"),
    )


def _mirrored(
    sides: Mapping[str, pl.DataFrame | None],
    styles: Mapping[str, Style],
    kind: str,
    title: str,
    model: str,
    caption: str,
    y: Mapping[str, Any],
) -> Figure | None:
    """Two sides of one thing, one above zero and one below; None where neither was measured."""
    measured = {side: curves for side, curves in sides.items() if curves is not None}
    if not measured:
        return None
    data: list[dict[str, Any]] = []
    words, tables = [], []
    for side, curves in measured.items():
        table = smoothed(curves)
        spread = bands(table)
        tables.append(table.with_columns(pl.lit(side).alias("side")))
        for arm, style in styles.items():
            mine = spread.filter(pl.col("arm") == arm)
            if mine.height:
                data.append(_side(arm, side, mine, style))
                words.append(f"{arm}, {side}: {fmean(mine['mean']):.3g} on average")
    table = pl.concat(tables).select("arm", "seed", "side", "step", pl.col("value").alias("raw"), "smooth")
    return Figure(
        slug=slug(kind, model),
        title=title,
        full_title=f"{title}, {model}",
        caption=caption,
        description=f"{title} ({y['title']['text']}). {'; '.join(words)}.",
        data=tuple(data),
        layout=layout(
            x=axis("training step"),
            y=y,
            shapes=[_zero()],
            hovermode="x",
        ),
        table=table.rename({"smooth": "smoothed"}),
    )


def _unsigned(largest: float) -> dict[str, Any]:
    """Ticks of an axis on which both directions count upwards: the lower side is a share too."""
    if largest == 0:
        return {"tickvals": [0], "range": [-1, 1]}
    step = next(s for s in (m * 10.0**e for e in range(-9, 3) for m in (1, 2, 5)) if largest / s <= 3)
    ticks = [step * i for i in range(-4, 5)]
    return {"tickvals": ticks, "ticktext": [f"{abs(tick):g}" for tick in ticks]}


def _side(arm: str, side: str, spread: pl.DataFrame, style: Style) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": spread["step"].to_list(),
        "y": [float(f"{value:.4g}") for value in spread["mean"]],
        "line": {"color": style.ink, "width": 2.2, "dash": style.dash},
        "hovertemplate": f"{plain(arm)}, {side}: %{{y:.3~g}}<extra></extra>",
        "name": plain(arm),
        "meta": {"arm": arm},
    }


def _steps(arm: str, shares: list[float], style: Style) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [round(center, 4) for center in CENTERS],
        "y": [float(f"{share:.4g}") if share else None for share in shares],
        "line": {"color": style.ink, "width": 2, "dash": style.dash, "shape": "hvh"},
        "hovertemplate": f"{plain(arm)}: %{{y:.2~g}}<extra></extra>",
        "name": plain(arm),
        "meta": {"arm": arm},
    }


def _bound(x: float) -> dict[str, Any]:
    line = {"color": "@zero", "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _zero() -> dict[str, Any]:
    line = {"color": "@zero", "width": 1.2}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": line, "layer": "below"}
