"""What a figure is here: a Plotly document as plain data, words for who cannot see it, and its numbers as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl

FONT = 'ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet that meets one of these at the start of a text may take the text for a formula."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a report."""

    slug: str
    """Letters, digits and hyphens; unique in a report, and the name of its files."""
    title: str
    """Short, for a place where model and arm are said already."""
    full_title: str
    """For a place of its own."""
    caption: str
    """How to read it."""
    description: str
    """What it shows, in words and numbers."""
    data: tuple[Mapping[str, Any], ...]
    """Plotly traces; colors are inks of `spurious.report.palette`."""
    layout: Mapping[str, Any]
    table: pl.DataFrame
    """The numbers that are drawn."""
    height: int = 320


def csv(table: pl.DataFrame) -> str:
    """The table as CSV; texts that a spreadsheet would run as a formula get an apostrophe in front."""
    guarded = table.select(
        pl.when(pl.any_horizontal(pl.col(name).str.starts_with(sign) for sign in _FORMULA))
        .then("'" + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        if table.schema[name] == pl.String
        else pl.col(name)
        for name in table.columns
    )
    return guarded.rename({name: f"'{name}" for name in table.columns if name.startswith(_FORMULA)}).write_csv()


def plain(name: str) -> str:
    """A name as Plotly shows it letter by letter: it reads tags and entities in every text."""
    return escape(name, quote=False)


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis in the report's style; `more` is Plotly's."""
    return {
        "title": {"text": title, "font": {"size": 12, "color": "@muted"}, "standoff": 8},
        "gridcolor": "@grid",
        "linecolor": "@line",
        "tickfont": {"size": 12, "color": "@muted"},
        "zeroline": False,
        "automargin": True,
        "exponentformat": "power",
        **more,
    }


def layout(*, x: Mapping[str, Any], y: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A layout in the report's style: no background of its own, a legend only where it is exported."""
    return {
        "font": {"family": FONT, "size": 13, "color": "@ink"},
        "paper_bgcolor": "@card",
        "plot_bgcolor": "@card",
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "showlegend": False,
        "legend": {"orientation": "h", "y": -0.25, "font": {"size": 12}},
        "hoverlabel": {"bgcolor": "@card", "bordercolor": "@line", "font": {"color": "@ink", "size": 12}},
        "xaxis": dict(x),
        "yaxis": dict(y),
        **more,
    }


def slug(*parts: str) -> str:
    """Parts of a name as one word for files and anchors."""
    text = "-".join(parts).lower()
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in text).split()) or "figure"


def padded(values: Sequence[float], share: float = 0.07) -> list[float]:
    """A range that holds the values with some room on both sides."""
    low, high = min(values), max(values)
    room = share * (high - low) or 1.0
    return [low - room, high + room]


def percent(share: float | None, digits: int = 1) -> str:
    """A share for people."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def signed(value: float, digits: int = 1) -> str:
    """A number with its sign, and a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def listing(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
