"""Figures as files for papers: SVG, PNG or PDF, in the light palette and with their legends."""

import hashlib
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from spurious.errors import InputError
from spurious.report.figure import Figure, csv, plain
from spurious.report.palette import inked

Format = Literal["svg", "png", "pdf"]

WIDTH = 720
"""Pixels; a PNG has twice as many each way."""


def export(figures: Sequence[Figure], directory: Path, kind: Format, *, tables: bool = True) -> list[Path]:
    """Write every figure, and with `tables` its data beside it as CSV; returns the figures' paths.

    The same figures give the same SVG where browser and fonts are the same.

    Raises:
        InputError: Plotly's exporter or a browser for it is missing.
    """
    if find_spec("kaleido") is None:
        raise InputError("--figures: needs the extra 'figures': pip install 'spurious[figures]'")
    import plotly.io
    from kaleido.errors import ChromeNotFoundError

    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{figure.slug}.{kind}" for figure in figures]
    try:
        plotly.io.write_images(
            [document(figure) for figure in figures],
            paths,
            width=WIDTH,
            height=[figure.height + 70 for figure in figures],
            scale=2 if kind == "png" else 1,
        )
    except ChromeNotFoundError as error:
        raise InputError("--figures: Plotly draws files with Chrome or Chromium, and found neither") from error
    if kind == "svg":
        for path in paths:
            path.write_text(_settled(path.read_text(encoding="utf-8"), path.stem), encoding="utf-8")
    for figure in figures if tables else ():
        (directory / f"{figure.slug}.csv").write_text(csv(figure.table), encoding="utf-8")
    return paths


def _settled(svg: str, name: str) -> str:
    """The drawing with the random part of its identifiers replaced by one that its name decides."""
    drawn = re.search(r'<defs id="defs-([0-9a-f]{6})"', svg)
    return svg.replace(drawn.group(1), hashlib.sha256(name.encode()).hexdigest()[:6]) if drawn else svg


def document(figure: Figure) -> dict[str, Any]:
    """The figure as Plotly's own document, in the light palette, titled, with a legend where several traces are named.

    `plotly.graph_objects.Figure(document(figure))` is what a notebook shows.
    """
    named = [trace for trace in figure.data if trace.get("name") and trace.get("showlegend", True)]
    layout = {
        **inked(dict(figure.layout), "light"),
        "title": {"text": plain(figure.full_title), "font": {"size": 16}},
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "showlegend": len(named) > 1,
    }
    traces = [{**trace, "uid": f"t{i}"} for i, trace in enumerate(figure.data)]
    return {"data": inked(traces, "light"), "layout": layout}
