"""The two figures a reader looks at first: what every arm reached, and what treatment has over placebo."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from spurious.analysis import sign_of
from spurious.analysis.statistics import Estimate
from spurious.report.answer import Answer, Effect, Level, Reference
from spurious.report.bases import BASE
from spurious.report.figure import Figure, axis, layout, padded, plain, slug
from spurious.report.palette import BASE as BASE_STYLE
from spurious.report.palette import Style
from spurious.report.words import verdict_word

ROW = 46
"""Pixels a row of a forest plot takes."""


def forest(answer: Answer, styles: Mapping[str, Style], margin: float | None) -> Figure | None:
    """Treatment minus placebo: one row a comparison and model; every seed a dot, the mean with its 95 % interval."""
    if not answer.effects:
        return None
    unit = answer.unit
    rows = list(reversed(answer.effects))
    several = len({(one.treatment, one.placebo) for one in rows}) > 1
    names = [_row_name(one, several) for one in rows]
    data: list[dict[str, Any]] = []
    for place, one in enumerate(rows):
        data += _forest_row(answer, one, place, styles[one.treatment])
    shapes: list[dict[str, Any]] = [_line(0.0, "solid")]
    if margin is not None:
        edge = unit.scale * margin
        shapes.insert(0, _region(-edge, edge))
    reach = [
        -unit.scale * (margin or 0.0),
        unit.scale * (margin or 0.0),
        *(unit.scale * value for one in rows for value in _reach(one)),
    ]
    return Figure(
        slug="effect",
        title="Treatment minus placebo",
        full_title="Treatment minus placebo",
        caption=(
            "Small dots: one seed each, paired. Diamond and bar: mean and 95 % t interval over seeds"
            + (", over problems where all seeds agree" if any(_agrees(one) for one in rows) else "")
            + (" (hollow: one seed, interval over problems, about this run only)" if _any_single(rows) else "")
            + (". Shaded: the declared margin of 'no effect'." if margin is not None else ".")
        ),
        description=" ".join(_in_words(answer, one) for one in answer.effects),
        data=tuple(data),
        layout=layout(
            x=axis(
                f"{unit.change} of {unit.word}" if unit.scale == 100 else unit.word, tickformat="+", range=padded(reach)
            ),
            y=axis(
                tickvals=list(range(len(rows))),
                ticktext=names,
                range=[-0.6, len(rows) - 0.35],
                showgrid=False,
                tickfont={"size": 13, "color": "@ink"},
            ),
            shapes=shapes,
            hovermode="closest",
        ),
        table=effect_table(answer),
        height=max(180, 90 + ROW * len(rows)),
    )


def levels(answer: Answer, styles: Mapping[str, Style]) -> Iterator[Figure]:
    """What every arm reached, a figure a model: seeds as dots, mean with 95 % interval, the base as a line."""
    unit = answer.unit
    prompts = {one.model: one for one in answer.references}
    reach = padded(
        [
            *(unit.scale * value for level in answer.levels for value in _level_reach(answer, level)),
            *(unit.scale * one.mean for one in answer.references),
        ]
    )
    for model in dict.fromkeys(level.model for level in answer.levels):
        rows = [level for level in reversed(answer.levels) if level.model == model]
        data: list[dict[str, Any]] = []
        for place, level in enumerate(rows):
            style = styles.get(level.arm, BASE_STYLE)
            data += _level_row(answer, level, place, style)
        base = [level.mean for level in rows if level.arm == BASE]
        prompt = prompts.get(model)
        step = answer.outcome.step
        yield Figure(
            slug=slug("level", model),
            title=model,
            full_title=f"What every arm reached on {model}",
            caption="",
            description=f"{unit.word} on {answer.outcome.bench}, {model}, step {step}: "
            + "; ".join(_level_in_words(answer, level) for level in reversed(rows))
            + (f"; untrained with {prompt.prompt} {unit.value(prompt.mean)}" if prompt else "")
            + ".",
            data=tuple(data),
            layout=layout(
                x=axis(f"{unit.word} on {answer.outcome.bench}" + (" (%)" if unit.scale == 100 else ""), range=reach),
                y=axis(
                    tickvals=list(range(len(rows))),
                    ticktext=[plain(level.arm) for level in rows],
                    range=[-0.6, len(rows) - 0.35],
                    showgrid=False,
                    tickfont={"size": 13, "color": "@ink"},
                ),
                shapes=[
                    *([_line(unit.scale * base[0], "dot")] if base else []),
                    *([_line(unit.scale * prompt.mean, "dash")] if prompt else []),
                ],
                annotations=[_label(unit.scale * prompt.mean, reach, "best untrained prompt")] if prompt else [],
                hovermode="closest",
            ),
            table=_level_table(rows[::-1], prompt),
            height=max(160, 86 + 38 * len(rows)),
        )


def _forest_row(answer: Answer, one: Effect, place: int, style: Style) -> Iterator[dict[str, Any]]:
    unit, comparison = answer.unit, one.comparison
    mean = unit.scale * comparison.difference
    if len(comparison.by_seed) > 1:
        yield _dots([(seed, unit.scale * value) for seed, value in comparison.by_seed], place - 0.2, style)
    if comparison.interval is not None:
        low, high = (unit.scale * edge for edge in comparison.interval)
        yield _bar(low, high, place, style.ink, 3)
    single = comparison.scope == "this run only"
    text = unit.difference(comparison.difference)
    if comparison.interval is not None:
        text += f" ({unit.interval(comparison.interval)})"
    yield {
        "type": "scatter",
        "mode": "markers+text",
        "x": [mean],
        "y": [place],
        "text": [text],
        "textposition": "top center",
        "textfont": {"size": 12, "color": "@ink"},
        "cliponaxis": False,
        "marker": {
            "symbol": "diamond-open" if single else "diamond",
            "size": 13,
            "color": style.ink,
            "line": {"width": 2, "color": style.ink if single else "@card"},
        },
        "hovertemplate": f"{plain(one.treatment)} − {plain(one.placebo)}<br>{plain(one.model)}<br>%{{text}}"
        "<extra></extra>",
        "name": plain(one.treatment),
        "showlegend": False,
    }


def _level_row(answer: Answer, level: Level, place: int, style: Style) -> Iterator[dict[str, Any]]:
    scale = answer.unit.scale
    if len(level.by_seed) > 1:
        yield _dots([(seed, scale * value) for seed, value in level.by_seed], place - 0.22, style)
    if level.estimate is not None:
        low, high = (scale * edge for edge in _clipped(level.estimate, scale))
        yield _bar(low, high, place, style.ink, 2.5)
    yield {
        "type": "scatter",
        "mode": "markers+text",
        "x": [scale * level.mean],
        "y": [place],
        "text": [answer.unit.value(level.mean)],
        "textposition": "top center",
        "textfont": {"size": 12, "color": "@ink"},
        "cliponaxis": False,
        "marker": {
            "symbol": "circle" if style is BASE_STYLE else style.marker,
            "size": 11,
            "color": style.ink,
            "line": {"width": 1.5, "color": "@card"},
        },
        "hovertemplate": f"{plain(level.arm)}: %{{text}}<extra></extra>",
        "name": plain(level.arm),
        "showlegend": False,
    }


def _reach(one: Effect) -> list[float]:
    return [value for _, value in one.comparison.by_seed] + list(one.comparison.interval or ())


def _level_reach(answer: Answer, level: Level) -> list[float]:
    interval = _clipped(level.estimate, answer.unit.scale) if level.estimate is not None else ()
    return [value for _, value in level.by_seed] + list(interval)


def _clipped(estimate: Estimate, scale: float) -> tuple[float, float]:
    """The interval; a share's is cut at 0 and 1, where the t distribution does not know to stop."""
    low, high = estimate.interval()
    return (max(0.0, low), min(1.0, high)) if scale == 100 else (low, high)


def _dots(values: list[tuple[int, float]], height: float, style: Style) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [round(value, 4) for _, value in values],
        "y": [height] * len(values),
        "customdata": [seed for seed, _ in values],
        "marker": {"symbol": "circle", "size": 7, "color": style.faint(0.45), "line": {"width": 1, "color": style.ink}},
        "hovertemplate": "seed %{customdata}: %{x:.2f}<extra></extra>",
        "showlegend": False,
    }


def _bar(low: float, high: float, place: int, ink: str, width: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [round(low, 4), round(high, 4)],
        "y": [place, place],
        "line": {"color": ink, "width": width},
        "hovertemplate": "95 % interval: %{x:.2f}<extra></extra>",
        "showlegend": False,
    }


def _line(x: float, dash: str) -> dict[str, Any]:
    line = {"color": "@zero", "width": 1.5, "dash": dash}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _label(x: float, reach: list[float], text: str) -> dict[str, Any]:
    """A word on top of a line, on the side where the axis has more room."""
    side = "right" if x > sum(reach) / 2 else "left"
    place = {"x": x, "xanchor": side, "yref": "paper", "y": 1, "yanchor": "top", "showarrow": False}
    return {**place, "text": text, "font": {"size": 11, "color": "@muted"}}


def _region(low: float, high: float) -> dict[str, Any]:
    area = {"x0": low, "x1": high, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "rect", **area, "fillcolor": "@zero/0.14", "line": {"width": 0}, "layer": "below"}


def _row_name(one: Effect, several: bool) -> str:
    if not several:
        return plain(one.model)
    return f"{plain(one.model)}<br><span style='font-size:11px'>{plain(one.treatment)} − {plain(one.placebo)}</span>"


def _agrees(one: Effect) -> bool:
    return one.comparison.basis == "problems" and one.comparison.n_seeds > 1


def _any_single(rows: list[Effect]) -> bool:
    return any(one.comparison.scope == "this run only" for one in rows)


def _in_words(answer: Answer, one: Effect) -> str:
    unit, comparison = answer.unit, one.comparison
    interval = f"95 % interval {unit.interval(comparison.interval)}" if comparison.interval else "no interval"
    seeds = ", ".join(f"seed {seed} {unit.difference(value)}" for seed, value in comparison.by_seed)
    return (
        f"{one.treatment} minus {one.placebo} on {one.model}: {unit.difference(comparison.difference)} {unit.change}, "
        f"{interval}: {verdict_word(one)} ({seeds})."
    )


def _level_in_words(answer: Answer, level: Level) -> str:
    text = f"{level.arm} {answer.unit.value(level.mean)}"
    if level.estimate is None:
        return text
    low, high = _clipped(level.estimate, answer.unit.scale)
    return f"{text} ({answer.unit.value(low)} to {answer.unit.value(high)})"


def effect_table(answer: Answer) -> pl.DataFrame:
    """The declared comparisons, one row each."""
    rows = []
    for one in answer.effects:
        c = one.comparison
        low, high = c.interval or (None, None)
        rows.append(
            {
                "model": one.model,
                "treatment": one.treatment,
                "placebo": one.placebo,
                "outcome": str(answer.outcome),
                "base_mean": one.base.mean if one.base else None,
                "placebo_mean": c.placebo,
                "treatment_mean": c.treatment,
                "difference": c.difference,
                "low_95": low,
                "high_95": high,
                "interval_over": c.basis,
                "scope": c.scope,
                "p": c.p,
                "p_holm": one.p,
                "detectable": c.detectable,
                "verdict": sign_of(c, one.p),
                "median": c.median,
                "seeds_up": c.signs.up,
                "seeds_down": c.signs.down,
                "p_sign": c.signs.p,
                "n_seeds": c.n_seeds,
                "n_problems": c.n_problems,
                "seed_differences": " ".join(f"{seed}:{value:.4f}" for seed, value in c.by_seed),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _level_table(rows: list[Level], prompt: Reference | None) -> pl.DataFrame:
    table = [
        {"model": level.model, "arm": level.arm, "seed": seed, "mean": value}
        for level in rows
        for seed, value in level.by_seed
    ]
    if prompt is not None:
        name = f"best untrained prompt: {prompt.prompt}"
        table.append({"model": prompt.model, "arm": name, "seed": None, "mean": prompt.mean})
    return pl.DataFrame(table, infer_schema_length=None)
