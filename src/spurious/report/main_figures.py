"""The figures that are kept with a study's results: what the question is answered by, and how the arms got there."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from spurious.report.benches import Asked
from spurious.report.curves import learning, training_curve
from spurious.report.effects import forest, levels
from spurious.report.figure import Figure, axis, layout, padded, plain, slug
from spurious.report.palette import Style, arm_styles
from spurious.report.switches import sankey, strategy_switches
from spurious.report.tables import Results
from spurious.scores import CODE
from spurious.store.tables import BEHAVIOR

SANKEYS = 12
"""A study with more arms and models than this keeps its strategy switches as a table only."""


def main_figures(results: Results) -> list[Figure]:
    """Effects, levels, accuracy and code frequency over steps, a few strategy switches; benches of untrained models."""
    material, answered = results.material, results.answer
    styles = arm_styles(material.arms)
    made: list[Figure | None] = []
    if answered is not None and answered.effects:
        made += [forest(answered, styles, material.declared.margin), *levels(answered, styles)]
    made += [
        training_curve(material, quantity, model, styles, raw=False)
        for model in material.models
        for quantity in learning(material.declared.habit)[:2]
    ]
    switched = list(strategy_switches(material))
    if len(switched) <= SANKEYS:
        made += [sankey(one, styles[one.arm]) for one in switched]
    made += list(bench_figures(results))
    return [figure for figure in made if figure is not None]


def bench_figures(results: Results) -> Iterator[Figure]:
    """Accuracy and code frequency of every untrained model on every bench, with intervals over problems."""
    for metric, name in (("accuracy", "accuracy"), (CODE, "code"), (f"{BEHAVIOR}boxed", "boxed answers")):
        found = [one for one in results.asked if one.metric == metric]
        if not found:
            continue
        benches = list(dict.fromkeys(one.bench for one in found))[::-1]
        styles = arm_styles(list(dict.fromkeys(one.model for one in found)))
        yield Figure(
            slug=slug("benches", name),
            title=f"{name.capitalize()} before training",
            full_title=f"{name.capitalize()} before training",
            caption="95 % intervals over problems.",
            description=f"{name.capitalize()} before training: " + "; ".join(map(_in_words, found)) + ".",
            data=tuple(
                _points([one for one in found if one.model == model], benches, style, (len(styles) - 1) / 2 - place)
                for place, (model, style) in enumerate(styles.items())
            ),
            layout=layout(
                x=axis(f"{name} (%)", range=padded([100 * edge for one in found for edge in _reach(one)])),
                y=axis(
                    tickvals=list(range(len(benches))),
                    ticktext=list(map(plain, benches)),
                    range=[-0.6, len(benches) - 0.35],
                    showgrid=False,
                ),
                hovermode="closest",
            ),
            table=pl.DataFrame([one.row() for one in found]),
            height=max(180, 90 + 42 * len(benches)),
        )


def _points(rows: list[Asked], benches: list[str], style: Style, shift: float) -> dict[str, Any]:
    """One model's trace, set apart from the others' by a little height."""
    name = plain(rows[0].model)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(100 * one.level.mean, 2) for one in rows],
        "y": [round(benches.index(one.bench) + 0.18 * shift, 3) for one in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [round(100 * (_reach(one)[1] - one.level.mean), 2) for one in rows],
            "arrayminus": [round(100 * (one.level.mean - _reach(one)[0]), 2) for one in rows],
            "color": style.ink,
            "thickness": 1.5,
            "width": 3,
        },
        "marker": {"symbol": style.marker, "size": 9, "color": style.ink},
        "name": name,
        "hovertemplate": f"{name}: %{{x:.1f}} %<extra></extra>",
    }


def _reach(one: Asked) -> tuple[float, float]:
    return one.level.interval or (one.level.mean, one.level.mean)


def _in_words(one: Asked) -> str:
    low, high = _reach(one)
    return f"{one.model} on {one.bench} {100 * one.level.mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
