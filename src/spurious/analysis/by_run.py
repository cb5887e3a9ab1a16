"""The analyses of runs, one value a run and quantity: long tables, to be averaged over seeds by `seeds.summary`.

`steps` has one row a run and step, with `model`, `arm`, `seed`, `step`, the metrics, the mean of every behavior and,
where they were made, the columns of `tables.strategy` and `tables.credit` behind `ROLLOUTS`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from spurious.analysis.benches import changes, pass_curves
from spurious.analysis.collapse import SERIES as COLLAPSE
from spurious.analysis.collapse import collapse
from spurious.analysis.correlation import correlations
from spurious.analysis.equal_kl import Path, at_equal_kl, path
from spurious.analysis.onset import onset
from spurious.analysis.same_problem import quantities, same_problem
from spurious.analysis.seeds import long
from spurious.analysis.step_sizes import step_sizes
from spurious.analysis.tables import credit, strategy
from spurious.scores import CODE
from spurious.store.tables import BEHAVIOR

ROLLOUTS = "rollouts/"
"""Prefix of what was counted on the completions of one step, or of one run."""

CREDIT = (
    "paid",
    "agreement",
    "kappa",
    "correct_given_encouraged",
    "correct_given_discouraged",
    "code_given_paid",
    "code_given_unpaid",
    "code_given_correct",
)
"""The shares of `tables.credit` and `tables.strategy` that say what a reward paid for."""

ACCURACY, SIGNAL, NORM, KL = "truth/accuracy", "groups/signal", "update/norm", "kl/to_start"

CONTROLS = {"length": "tokens/mean_length", "boxed": f"{BEHAVIOR}boxed"}
"""What is partialled out of the correlation of code with accuracy, where it was measured."""


def per_step(rollouts: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """What was counted on the completions of every step of one run: `step`, the behaviors, `ROLLOUTS` columns.

    `habit` is the behavior column that is called code here and in the columns' names.
    """
    behaviors = [name for name in rollouts.columns if name.startswith(BEHAVIOR)]
    means = rollouts.group_by("step").agg(pl.col(behaviors).mean())
    if habit not in behaviors:
        return means
    called = rollouts.with_columns(pl.col(habit).alias(CODE))
    for table in (strategy(called), credit(called)):
        means = means.join(table.drop("n").rename(lambda name: name if name == "step" else ROLLOUTS + name), on="step")
    gap = pl.col(f"{ROLLOUTS}code_given_paid") - pl.col(f"{ROLLOUTS}code_given_unpaid")
    return means.with_columns(gap.alias(f"{ROLLOUTS}code_gap"))


def whole(rollouts: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """What was counted on all completions of one run, as one row; no row where the habit was not looked for."""
    if not rollouts.height or habit not in rollouts.columns:
        return pl.DataFrame()
    one = rollouts.with_columns(pl.col(habit).alias(CODE), step=pl.lit(None, pl.Int64))
    found = same_problem(rollouts, habit)
    return pl.concat([strategy(one).drop("step", "n"), credit(one).drop("step", "n")], how="horizontal").with_columns(
        pl.lit(value, pl.Float64).alias(f"same problem/{name}") for name, value in quantities(found)
    )


def credits(runs: pl.DataFrame) -> pl.DataFrame:
    """`CREDIT` of every run, from rows of `whole` with `model`, `arm` and `seed`; a missing column gives none."""
    return _of_rows(runs, {name: name for name in CREDIT})


def onsets(steps: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """Onset, saturation and change of training accuracy and of code frequency in every run (`onset.onset`)."""

    def found(run: pl.DataFrame) -> Iterator[tuple[str, float | None]]:
        for name, column in {"accuracy": ACCURACY, "code": habit}.items():
            curve = _measured(run, "step", column)
            moved = onset(curve["step"].to_list(), curve[column].to_list()) if curve is not None else None
            if moved is not None:
                yield f"{name} onset", moved.onset
                yield f"{name} saturation", moved.saturation
                yield f"{name} change", moved.change

    return _of_runs(steps, found)


def code_and_accuracy(steps: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """The correlations of code frequency with training accuracy in every run (`correlation.correlations`)."""

    def found(run: pl.DataFrame) -> Iterator[tuple[str, float | None]]:
        controls = {name: column for name, column in CONTROLS.items() if column in run.columns}
        curves = _measured(run, habit, ACCURACY, *controls.values())
        if curves is not None:
            series = {column: curves[column].cast(pl.Float64).to_numpy() for column in curves.columns}
            others = {name: series[column] for name, column in controls.items()}
            yield from correlations(series[habit], series[ACCURACY], others).items()

    return _of_runs(steps, found)


def strategy_changes(steps: pl.DataFrame) -> pl.DataFrame:
    """Whether answers in code, and answers in language, got better: each kind's accuracy in the first and last steps.

    The first and the last quarter of the steps of a run, completions pooled. Quantities: `code early`, `code late`,
    `code change`, `code early n`, `code late n`, and the same of `language`.
    """

    def found(run: pl.DataFrame) -> Iterator[tuple[str, float | None]]:
        if f"{ROLLOUTS}graded_with_code" not in run.columns:
            return
        quarter = max(1, run.height // 4)
        for kind, word in (("code", "with"), ("language", "without")):
            early, late = (_pooled(part, word) for part in (run.head(quarter), run.tail(quarter)))
            yield f"{kind} early", early[0]
            yield f"{kind} late", late[0]
            yield f"{kind} change", None if early[0] is None or late[0] is None else late[0] - early[0]
            yield f"{kind} early n", early[1]
            yield f"{kind} late n", late[1]

    return _of_runs(steps, found)


def same_problems(runs: pl.DataFrame, evals: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """Code minus language, pooled and within problems, in every run: in training, and in benches asked more than once.

    Quantities are `training naive`, `training within` and so on, and for a bench `BENCH before naive` (step 0) and
    `BENCH after naive` (its last step).
    """
    names = ("naive", "within", "explained by the problem")
    tables = [_of_rows(runs, {f"training {name}": f"same problem/{name}" for name in names})]
    if evals.height and habit in evals.columns:
        tables.append(_of_runs(evals, lambda run: _benches(run, habit)))
    return pl.concat(tables)


def collapses(steps: pl.DataFrame) -> pl.DataFrame:
    """The step at which each sign of a breakdown first showed in every run (`collapse.collapse`)."""

    def found(run: pl.DataFrame) -> Iterator[tuple[str, float | None]]:
        for name, column in COLLAPSE.items():
            curve = _measured(run, "step", column)
            if curve is not None:
                yield from collapse(curve["step"].to_list(), {name: curve[column].cast(pl.Float64).to_numpy()}).items()

    return _of_runs(steps, found)


def step_and_signal(steps: pl.DataFrame) -> pl.DataFrame:
    """How far the steps of every run went for how much signal (`step_sizes.step_sizes`), and the KL of a step."""

    def found(run: pl.DataFrame) -> Iterator[tuple[str, float | None]]:
        both = _measured(run, SIGNAL, NORM)
        if both is not None:
            yield from step_sizes(*(both[column].cast(pl.Float64).to_numpy() for column in (SIGNAL, NORM)))
        kl = _measured(run, "step", KL)
        if kl is not None and kl.height > 1:
            yield "KL a step", (kl[KL][-1] - kl[KL][0]) / (kl["step"][-1] - kl["step"][0])

    return _of_runs(steps, found)


def kl_matched(steps: pl.DataFrame, pairs: Iterable[tuple[str, str]], habit: str = CODE) -> pl.DataFrame:
    """One arm minus another at equal KL to the start, seed by seed (`equal_kl.at_equal_kl`); `arm` names both.

    Quantities: `entropy`, `code` and `accuracy`, means over the common range of KL, the same with `last` at its end,
    and `KL`, the end. A seed whose runs share no range of KL worth the name has null.
    """
    rows: list[Mapping[str, object]] = []
    paths = kl_paths(steps, habit)
    for first, second in pairs:
        for model, arm, seed in paths:
            if arm != first or (model, second, seed) not in paths:
                continue
            ours, theirs = paths[model, first, seed], paths[model, second, seed]
            where = {"model": model, "arm": f"{first} − {second}", "seed": seed}
            for name in ours:
                if name in theirs:
                    found = at_equal_kl(ours[name], theirs[name])
                    rows += [
                        {**where, "quantity": name, "value": found.mean if found else None},
                        {**where, "quantity": f"{name} last", "value": found.last if found else None},
                    ]
                    if name == "entropy":
                        rows.append({**where, "quantity": "KL", "value": found.kl if found else None})
    return long(rows)


def kl_paths(steps: pl.DataFrame, habit: str = CODE) -> dict[tuple[str, str, int], dict[str, Path]]:
    """Entropy, code and accuracy as functions of the KL to the start: (model, arm, seed) -> quantity -> path."""
    paths: dict[tuple[str, str, int], dict[str, Path]] = {}
    columns = {"entropy": "entropy/mean", "code": habit, "accuracy": ACCURACY}
    if not steps.height:
        return paths
    for (model, arm, seed), run in steps.group_by("model", "arm", "seed", maintain_order=True):
        ordered = run.sort("step")
        found = {}
        for name, column in columns.items():
            both = _measured(ordered, KL, column)
            if both is not None:
                found[name] = path(*(both[one].cast(pl.Float64).to_numpy() for one in (KL, column)))
        paths[str(model), str(arm), int(str(seed))] = found
    return paths


def bench_changes(evals: pl.DataFrame, train: Mapping[str, str]) -> pl.DataFrame:
    """Every benchmark before and after training, in every run (`benches.changes`)."""
    return _of_runs(evals, lambda run: changes(run, train))


def passes(evals: pl.DataFrame) -> pl.DataFrame:
    """The pass@k curves of every benchmark asked more than once, before and after training, in every run."""
    return _of_runs(evals, pass_curves)


def _benches(run: pl.DataFrame, habit: str) -> Iterator[tuple[str, float | None]]:
    for (bench,), rows in run.group_by("bench", maintain_order=True):
        if not rows["sample"].max():
            continue
        last = rows["step"].max()
        for word, step in {"before": 0, "after": last}.items():
            part = rows.filter(pl.col("step") == step)
            if part.height and (word == "before" or last):
                for name, value in quantities(same_problem(part, habit)):
                    yield f"{bench} {word} {name}", value


def _pooled(part: pl.DataFrame, word: str) -> tuple[float | None, float]:
    """Accuracy and number of the completions of several steps."""
    shares, counts = (part[f"{ROLLOUTS}{name}_{word}_code"].cast(pl.Float64) for name in ("accuracy", "graded"))
    n = float(counts.sum())
    return (float((shares * counts).sum()) / n if n else None), n


def _measured(run: pl.DataFrame, *columns: str) -> pl.DataFrame | None:
    """The steps in which all of these were measured; None where one never was."""
    if any(column not in run.columns for column in columns):
        return None
    known = run.select(columns).drop_nulls()
    return known if known.height else None


def _of_runs(table: pl.DataFrame, found: Any) -> pl.DataFrame:
    rows: list[Mapping[str, object]] = []
    if table.height:
        for (model, arm, seed), run in table.group_by("model", "arm", "seed", maintain_order=True):
            ordered = run.sort("step", maintain_order=True)
            rows += [
                {"model": model, "arm": arm, "seed": seed, "quantity": name, "value": value}
                for name, value in found(ordered)
            ]
    return long(rows)


def _of_rows(table: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    return long(
        {"model": row["model"], "arm": row["arm"], "seed": row["seed"], "quantity": name, "value": row[column]}
        for row in table.iter_rows(named=True)
        for name, column in columns.items()
        if column in row
    )
