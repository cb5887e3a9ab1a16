"""Whether a habit and accuracy go together: by strategy, on the same problem, and step by step."""

from collections.abc import Mapping

import polars as pl

from spurious.analysis.by_run import ROLLOUTS, code_and_accuracy, same_problems, strategy_changes
from spurious.analysis.correlation import LAGS
from spurious.analysis.seeds import summary
from spurious.report.curves import Quantity, mean_curve
from spurious.report.figure import Figure, axis, layout, plain, slug
from spurious.report.habit import Habit
from spurious.report.material import Material
from spurious.report.palette import Style
from spurious.report.seeds import Shown, Table, in_words, of_model, seed_figure, seed_table

CORRELATIONS = (
    Shown("pearson", "Pearson"),
    Shown("partial", "length and boxing partialled out"),
    Shown("differences", "changes from step to step"),
)

SPEARMAN = Shown("spearman", "Spearman")


def association_figures(material: Material, model: str, styles: Mapping[str, Style]) -> list[Figure | None]:
    """Accuracy of each strategy, one against the other within problems, and the correlations with accuracy."""
    habit = material.declared.habit
    together = code_and_accuracy(of_model(material.metrics, model), habit.column)
    curves = (
        Quantity(f"{ROLLOUTS}accuracy_with_code", "with-code", f"Accuracy of answers in {habit.shown}", "%", 100),
        Quantity(
            f"{ROLLOUTS}accuracy_without_code", "without-code", f"Accuracy of answers in {habit.absent}", "%", 100
        ),
    )
    return [
        *(mean_curve(material, quantity, model, styles) for quantity in curves),
        _same_problem(material, model, styles),
        seed_figure(
            "correlation",
            f"Correlation of {habit.shown} frequency with accuracy",
            together,
            model,
            CORRELATIONS,
            styles,
            x="correlation",
            caption="Mean over seeds (Fisher's z) with its 95 % interval. Undefined: one of the two is constant in "
            "every seed.",
            correlations=True,
            zero=True,
        ),
        lag_profile(together, model, styles, habit),
    ]


def association_tables(material: Material, model: str) -> list[Table | None]:
    """What each strategy became, and every correlation with its interval."""
    habit = material.declared.habit
    steps = of_model(material.metrics, model)
    return [
        seed_table(
            "Accuracy by strategy, first and last quarter of the steps",
            strategy_changes(steps),
            model,
            _strategies(habit),
            material.arms,
            note="Training completions of a run, pooled over the steps; mean over seeds with its 95 % t interval. "
            "n: completions.",
        ),
        seed_table(
            f"Correlation of {habit.shown} frequency with training accuracy over the steps of a run",
            code_and_accuracy(steps, habit.column),
            model,
            (CORRELATIONS[0], SPEARMAN, *CORRELATIONS[1:]),
            material.arms,
            correlations=True,
            note=f"Both are shares of the same completions: even without training, a step with more {habit.shown} by "
            f"chance has more right answers where {habit.shown} is right more often. An arm that is not trained says "
            f"how much that gives. Where length tells {habit.shown} from {habit.absent}, partialling it out takes the "
            "habit itself away. Undefined: one of the two is constant.",
        ),
    ]


def lag_profile(together: pl.DataFrame, model: str, styles: Mapping[str, Style], habit: Habit) -> Figure | None:
    """The correlation of the habit's frequency with the accuracy some steps later, an arm a line."""
    names = [f"lag {lag}" for lag in LAGS]
    mine = together.filter((pl.col("model") == model) & pl.col("quantity").is_in(names))
    if not mine["value"].drop_nulls().len():
        return None
    means = summary(mine, correlations=True)
    found = {(row["arm"], row["quantity"]): row for row in means.iter_rows(named=True)}
    arms = [arm for arm in styles if any(found.get((arm, name), {}).get("mean") is not None for name in names)]
    shown = [Shown(name, name) for name in names]
    return Figure(
        slug=slug("lags", model),
        title=f"Does {habit.shown} come first?",
        full_title=f"Correlation of {habit.shown} frequency with later accuracy, {model}",
        caption=f"Right of 0: {habit.shown} frequency against the accuracy so many steps later. Mean over seeds "
        "(Fisher's z); intervals are in the CSV.",
        description=f"Lagged correlations of {habit.shown} frequency with accuracy on {model}: "
        + "; ".join(in_words(shown, arm, found) for arm in arms)
        + ".",
        data=tuple(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": list(LAGS),
                "y": [_short(found[arm, name]["mean"]) for name in names],
                "line": {"color": styles[arm].ink, "width": 2, "dash": styles[arm].dash},
                "marker": {"symbol": styles[arm].marker, "size": 7, "color": styles[arm].ink},
                "hovertemplate": f"{plain(arm)}: %{{y:.2f}}<extra></extra>",
                "name": plain(arm),
                "meta": {"arm": arm},
            }
            for arm in arms
        ),
        layout=layout(
            x=axis("steps by which accuracy comes later", tickvals=list(LAGS)),
            y=axis("correlation", range=[-1.05, 1.05]),
            hovermode="x",
        ),
        table=means,
    )


def _same_problem(material: Material, model: str, styles: Mapping[str, Style]) -> Figure | None:
    """Training completions: all pooled, and within the problems that have both kinds."""
    habit = material.declared.habit
    return seed_figure(
        "same-problem",
        f"{habit.shown.capitalize()} minus {habit.absent}, pooled and on the same problem",
        same_problems(of_model(material.trained, model), pl.DataFrame(), habit.column),
        model,
        (
            Shown("training naive", "all completions pooled", 100, 1, sign=True),
            Shown("training within", "within the same problem and step", 100, 1, sign=True),
        ),
        styles,
        x=f"{habit.shown} minus {habit.absent}, points",
        caption="Accuracy of training completions. What the pooled difference has beyond the one within problems is "
        "the choice of problem.",
        zero=True,
    )


def _strategies(habit: Habit) -> tuple[Shown, ...]:
    return tuple(
        shown
        for kind, word in (("code", habit.shown), ("language", habit.absent))
        for shown in (
            Shown(f"{kind} early", f"{word}, first steps", 100, 1, " %"),
            Shown(f"{kind} late", f"{word}, last steps", 100, 1, " %"),
            Shown(f"{kind} change", f"change of {word}", 100, 1, sign=True),
            Shown(f"{kind} early n", f"{word}, first n", 1, 0, interval=False),
            Shown(f"{kind} late n", f"{word}, last n", 1, 0, interval=False),
        )
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
