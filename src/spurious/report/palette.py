"""Colors by what they mean, for a light and a dark page. Figures name inks (`@arm0`, `@grid`); the page fills them in.

Arms differ in dash and marker too, so that no figure is read by color alone. The arm colors stay apart for the three
kinds of color blindness, and every one has a contrast of at least 3 with its background (a test holds both).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Scheme = Literal["light", "dark"]

PALETTES: dict[Scheme, dict[str, str]] = {
    "light": {
        "page": "#f5f6f8",
        "card": "#ffffff",
        "ink": "#18202b",
        "muted": "#566273",
        "grid": "#e7eaee",
        "line": "#c3cad3",
        "zero": "#7b8794",
        "accent": "#0067b1",
        "good": "#0b7a4b",
        "bad": "#b42318",
        "base": "#6b7685",
        "arm0": "#0067b1",
        "arm1": "#d1490b",
        "arm2": "#8a1fd6",
        "arm3": "#52222e",
        "arm4": "#16a3a3",
        "correct": "#0067b1",
        "wrong": "#b9c2cd",
        "absent": "#e8a13a",
        "unparsable": "#c2410c",
        "limit": "#8f1d4f",
        "timeout": "#5a1846",
        "failed": "#2a0d22",
        "before": "#6b7685",
    },
    "dark": {
        "page": "#0e1319",
        "card": "#161d26",
        "ink": "#e8edf3",
        "muted": "#9dabba",
        "grid": "#26303c",
        "line": "#3a4654",
        "zero": "#8593a3",
        "accent": "#5cb3f5",
        "good": "#5bd69b",
        "bad": "#ff8a7a",
        "base": "#9dabba",
        "arm0": "#4fadf5",
        "arm1": "#ff8f4d",
        "arm2": "#a264ff",
        "arm3": "#f4ea6a",
        "arm4": "#d6f0ea",
        "correct": "#4fadf5",
        "wrong": "#475463",
        "absent": "#e8a13a",
        "unparsable": "#ff7a45",
        "limit": "#e65a94",
        "timeout": "#b98ad0",
        "failed": "#f0d9ff",
        "before": "#9dabba",
    },
}

ARM_COLORS = 5
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MARKERS = ("circle", "square", "diamond", "triangle-up", "pentagon")

_INK = re.compile(r"@([a-z]+\d*)(?:/([0-9.]+))?")


@dataclass(frozen=True, slots=True)
class Style:
    """How one arm looks in every figure."""

    ink: str
    dash: str
    marker: str

    def faint(self, opacity: float) -> str:
        """The arm's color, partly transparent."""
        return f"{self.ink}/{opacity}"


BASE = Style("@base", "solid", "line-ns")
"""The model before training."""


def arm_styles(arms: Sequence[str]) -> dict[str, Style]:
    """A style for every arm, in the order they are declared; color, dash and marker together never repeat up to 25."""
    return {
        arm: Style(
            f"@arm{i % ARM_COLORS}",
            DASHES[(i + i // ARM_COLORS) % len(DASHES)],
            MARKERS[(i + i // ARM_COLORS) % len(MARKERS)],
        )
        for i, arm in enumerate(arms)
    }


def inked(value: Any, scheme: Scheme) -> Any:
    """A figure with its inks replaced by colors; `@arm0/0.2` becomes an rgba of that opacity."""
    if isinstance(value, dict):
        return {name: inked(inner, scheme) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [inked(inner, scheme) for inner in value]
    if isinstance(value, str) and (found := _INK.fullmatch(value)):
        return _color(PALETTES[scheme][found[1]], found[2])
    return value


def _color(color: str, opacity: str | None) -> str:
    if opacity is None:
        return color
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
