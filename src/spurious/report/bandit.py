"""The two-arm comparison drawn: where the policies of every arm ended, and how their mean and median got there."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from spurious.analysis.bandit import Simulation
from spurious.analysis.bandit_arms import BINS, summarize
from spurious.report.figure import Figure, axis, layout, plain
from spurious.report.palette import Style, arm_styles

EDGES = tuple(i / BINS for i in range(BINS + 1))


def bandit_figures(simulations: Mapping[str, Simulation]) -> list[Figure]:
    """The histogram of final probabilities and the paths, a curve an arm; their tables hold the numbers."""
    styles = arm_styles(list(simulations))
    return [_histogram(simulations, styles), _paths(simulations, styles)]


def _histogram(simulations: Mapping[str, Simulation], styles: Mapping[str, Style]) -> Figure:
    ends = {name: summarize(one) for name, one in simulations.items()}
    return Figure(
        slug="bandit-histogram",
        title="Where the policies ended",
        full_title="Probability of arm 1 after training on a coin",
        caption=f"Share of seeds in bins of {1 / BINS:g}. Dotted: where all of them started.",
        description="; ".join(f"{name}: mean {end.mean:.3f}, median {end.median:.3f}" for name, end in ends.items())
        + ".",
        data=tuple(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(name),
                "x": list(EDGES),
                "y": [n / sum(end.counts) for n in (*end.counts, end.counts[-1])],
                "line": {"shape": "hv", "color": styles[name].ink, "dash": styles[name].dash, "width": 2},
            }
            for name, end in ends.items()
        ),
        layout=layout(
            x=axis("final probability of arm 1", range=[0, 1]),
            y=axis("share of seeds", rangemode="tozero"),
            shapes=[_start(one) for one in list(simulations.values())[:1]],
        ),
        table=pl.DataFrame(
            [
                {"arm": name, "from": low, "to": high, "seeds": n}
                for name, end in ends.items()
                for low, high, n in zip(EDGES, EDGES[1:], end.counts, strict=False)
            ]
        ),
        height=420,
    )


def _start(one: Simulation) -> dict[str, Any]:
    p0 = one.settings.p0
    return {
        "type": "line",
        "yref": "paper",
        "x0": p0,
        "x1": p0,
        "y0": 0,
        "y1": 1,
        "line": {"color": "@zero", "dash": "dot", "width": 1},
    }


def _paths(simulations: Mapping[str, Simulation], styles: Mapping[str, Style]) -> Figure:
    return Figure(
        slug="bandit-paths",
        title="Mean and median on the way",
        full_title="Probability of arm 1 over the steps",
        caption="Thick: median over seeds. Thin: mean.",
        description="; ".join(
            f"{name}: mean {one.mean[0]:.3f} to {one.mean[-1]:.3f}, median to {one.median[-1]:.3f}"
            for name, one in simulations.items()
        )
        + ".",
        data=tuple(trace for name, one in simulations.items() for trace in _curves(name, one, styles[name])),
        layout=layout(x=axis("step"), y=axis("probability of arm 1", range=[0, 1])),
        table=pl.DataFrame(
            [
                {"arm": name, "step": step, "mean": mean, "median": median}
                for name, one in simulations.items()
                for step, mean, median in zip(one.marks, one.mean.tolist(), one.median.tolist(), strict=True)
            ]
        ),
        height=420,
    )


def _curves(name: str, one: Simulation, style: Style) -> Iterator[dict[str, Any]]:
    for values, width, shown in ((one.median, 2.5, True), (one.mean, 1, False)):
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": plain(name),
            "showlegend": shown,
            "x": list(one.marks),
            "y": values.tolist(),
            "line": {"color": style.ink, "dash": style.dash, "width": width},
        }
