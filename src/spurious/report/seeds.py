"""What every run has one value of, as figures and tables: a dot a seed, the mean over seeds with its 95 % interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from spurious.analysis.seeds import summary
from spurious.report.figure import Figure, axis, layout, padded, plain, slug
from spurious.report.palette import Style

ROW = 22
"""Pixels that one quantity of one arm takes."""

SYMBOLS = ("circle", "diamond-open", "square", "triangle-up-open", "pentagon", "star-open")
"""Of the quantities of one figure, in order; `SHAPES` are their names."""

SHAPES = ("disc", "open diamond", "square", "open triangle", "pentagon", "open star")


@dataclass(frozen=True, slots=True)
class Shown:
    """One quantity and how people read it."""

    quantity: str
    title: str
    scale: float = 1.0
    digits: int = 2
    unit: str = ""
    sign: bool = False
    """Whether it is a difference."""
    interval: bool = True
    """Whether a table shows its interval too."""

    def number(self, value: float) -> str:
        """One value without its unit."""
        rounded = round(self.scale * value, self.digits) + 0.0  # no minus before a zero
        return f"{rounded:{'+' if self.sign else ''}.{self.digits}f}".replace("-", "−")

    @property
    def header(self) -> str:
        """The title with the unit, for a column."""
        return f"{self.title},{self.unit}" if self.unit else self.title


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people: a name and then cells of two texts, the second in small print below the first."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    note: str = ""


def of_model(table: pl.DataFrame, model: str) -> pl.DataFrame:
    """The rows of one model, of a table that may be empty and then has no columns."""
    return table.filter(pl.col("model") == model) if table.height else table


def seed_figure(
    kind: str,
    title: str,
    table: pl.DataFrame,
    model: str,
    shown: Sequence[Shown],
    styles: Mapping[str, Style],
    *,
    x: str,
    caption: str = "",
    correlations: bool = False,
    zero: bool = False,
) -> Figure | None:
    """One row an arm, in it one line a quantity; None where nothing is defined on this model.

    Args:
        kind: what the figure's file is called.
        title: what it shows.
        table: a long table (`spurious.analysis.seeds`).
        model: the model whose rows are shown.
        shown: the quantities, at most as many as there are `SYMBOLS`, in one unit.
        styles: the arms, in order.
        x: the axis.
        caption: how to read it, behind the key of the symbols.
        correlations: whether values are averaged as correlations are.
        zero: whether a line marks zero.
    """
    names = [one.quantity for one in shown]
    mine = table.filter((pl.col("model") == model) & pl.col("quantity").is_in(names))
    if not mine["value"].drop_nulls().len():
        return None
    means = summary(mine, correlations=correlations)
    found = {(row["arm"], row["quantity"]): row for row in means.iter_rows(named=True)}
    arms = [arm for arm in styles if any((arm, name) in found for name in names)]
    data: list[dict[str, Any]] = []
    reach = [0.0] if zero else []
    undefined: list[float] = []
    for place, arm in enumerate(reversed(arms)):
        for i, one in enumerate(shown):
            row = found.get((arm, one.quantity))
            if row is None:
                continue
            height = place + (0.5 - (i + 0.5) / len(shown)) * 0.8 if len(shown) > 1 else place
            seeds = mine.filter((pl.col("arm") == arm) & (pl.col("quantity") == one.quantity)).drop_nulls("value")
            data += _marks(one, row, seeds, height, styles[arm], SYMBOLS[i])
            if row["mean"] is None:
                undefined.append(height)
            ends = [value for value in (row["low_95"], row["high_95"]) if value is not None]
            reach += [one.scale * value for value in [*seeds["value"], *_near(ends, seeds["value"].to_list())]]
    key = "; ".join(f"{shape}: {one.title}" for shape, one in zip(SHAPES, shown, strict=False))
    height = 86 + len(arms) * max(38, ROW * len(shown))
    return Figure(
        slug=slug(kind, model),
        title=title,
        full_title=f"{title}, {model}",
        caption=" ".join(part for part in (f"{key[0].upper()}{key[1:]}." if len(shown) > 1 else "", caption) if part),
        description=f"{title} on {model}: " + "; ".join(in_words(shown, arm, found) for arm in arms) + ".",
        data=tuple(data),
        layout=layout(
            x=axis(x, range=padded(reach)),
            y=axis(
                tickvals=list(range(len(arms))),
                ticktext=[plain(arm) for arm in reversed(arms)],
                range=[-0.6, len(arms) - 0.4],
                showgrid=False,
                tickfont={"size": 13, "color": "@ink"},
            ),
            shapes=[_zero()] if zero else [],
            annotations=[_undefined(height) for height in undefined],
            hovermode="closest",
        ),
        table=_numbers(mine, means),
        height=height,
    )


def seed_table(
    title: str,
    table: pl.DataFrame,
    model: str,
    shown: Sequence[Shown],
    arms: Sequence[str],
    *,
    correlations: bool = False,
    note: str = "",
) -> Table | None:
    """One row an arm and one column a quantity: the mean over seeds and its interval; None where nothing is defined."""
    names = [one.quantity for one in shown]
    mine = table.filter((pl.col("model") == model) & pl.col("quantity").is_in(names))
    if not mine["value"].drop_nulls().len():
        return None
    found = {
        (row["arm"], row["quantity"]): row for row in summary(mine, correlations=correlations).iter_rows(named=True)
    }
    rows = tuple(
        (arm, tuple(cell(one, found.get((arm, one.quantity))) for one in shown))
        for arm in arms
        if any((arm, name) in found for name in names)
    )
    return Table(title, ("arm", *(one.header for one in shown)), rows, note)


def cell(one: Shown, row: Mapping[str, Any] | None) -> tuple[str, str]:
    """A mean, and its interval with the number of seeds where that is not all of several."""
    if row is None:
        return "–", ""
    if row["mean"] is None:
        return "undefined", ""
    fine = []
    if row["low_95"] is not None and one.interval:
        fine.append(f"{one.number(row['low_95'])} to {one.number(row['high_95'])}")
    if row["seeds"] < row["of"]:
        fine.append(f"{row['seeds']} of {row['of']} seeds")
    elif row["of"] == 1:
        fine.append("1 seed")
    return one.number(row["mean"]), ", ".join(fine)


def spoken(one: Shown, row: Mapping[str, Any] | None) -> str:
    """The same as one text."""
    number, fine = cell(one, row)
    known = row is not None and row["mean"] is not None
    return f"{number}{one.unit if known else ''}{f' ({fine})' if fine else ''}"


def in_words(shown: Sequence[Shown], arm: str, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """What one arm has, for who cannot see the figure."""
    parts = [f"{one.title} {spoken(one, found.get((arm, one.quantity)))}" for one in shown]
    return f"{arm}: {', '.join(parts)}"


def _near(ends: Sequence[float], values: Sequence[float]) -> list[float]:
    """Ends of an interval, cut where the axis would show nothing but a wide interval of few seeds."""
    if not values:
        return []
    low, high = min(values), max(values)
    room = 2 * (high - low) + 1e-9
    return [min(max(end, low - room), high + room) for end in ends]


def _marks(
    one: Shown, row: Mapping[str, Any], seeds: pl.DataFrame, height: float, style: Style, symbol: str
) -> list[dict[str, Any]]:
    arm = plain(str(row["arm"]))
    if row["mean"] is None:
        return []
    common = {"type": "scatter", "showlegend": False, "meta": {"arm": row["arm"]}}
    drawn: list[dict[str, Any]] = []
    if row["of"] > 1:
        drawn.append(
            {
                **common,
                "mode": "markers",
                "x": [_short(one.scale * value) for value in seeds["value"]],
                "y": [round(height, 3)] * seeds.height,
                "customdata": seeds["seed"].to_list(),
                "marker": {"symbol": "line-ns-open", "size": 7, "color": style.faint(0.6)},
                "hovertemplate": f"seed %{{customdata}}: %{{x}}<extra>{arm}, {plain(one.title)}</extra>",
            }
        )
    if row["low_95"] is not None:
        drawn.append(
            {
                **common,
                "mode": "lines",
                "x": [_short(one.scale * row[end]) for end in ("low_95", "high_95")],
                "y": [round(height, 3)] * 2,
                "line": {"color": style.ink, "width": 2},
                "hoverinfo": "skip",
            }
        )
    drawn.append(
        {
            **common,
            "mode": "markers",
            "x": [_short(one.scale * row["mean"])],
            "y": [round(height, 3)],
            "marker": {"symbol": symbol, "size": 10, "color": style.ink, "line": {"width": 1.5, "color": style.ink}},
            "hovertemplate": f"{arm}, {plain(one.title)}: {spoken(one, row)}<extra></extra>",
            "name": f"{arm}, {plain(one.title)}",
        }
    )
    return drawn


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _zero() -> dict[str, Any]:
    line = {"color": "@zero", "width": 1.2}
    return {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _undefined(height: float) -> dict[str, Any]:
    """The word where a symbol would be."""
    return {
        "xref": "paper",
        "x": 0.02,
        "xanchor": "left",
        "y": round(height, 3),
        "yanchor": "middle",
        "text": "undefined",
        "showarrow": False,
        "font": {"size": 11, "color": "@muted"},
    }


def _numbers(mine: pl.DataFrame, means: pl.DataFrame) -> pl.DataFrame:
    """Every seed's value, and below each quantity its mean and interval."""
    seeds = mine.with_columns(pl.col("seed").cast(pl.String))
    return pl.concat([seeds, means.rename({"mean": "value"}).with_columns(seed=pl.lit("mean"))], how="diagonal").sort(
        "arm", "quantity", maintain_order=True
    )
