"""The analyses of runs, one value a run and quantity: long tables, to be averaged over seeds by `seeds.summary`.

`steps` has one row a run and step, with `model`, `arm`, `seed`, `step`, the metrics, the mean of every behavior and,
where they were made, the columns of `tables.strategy` and `tables.credit` behind `ROLLOUTS`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from spurious.analysis.benches import changes, pass_curve
from spurious.analysis.collapse import SERIES as COLLAPSE
from spurious.analysis.collapse import collapse
from spurious.analysis.correlation import correlations
from spurious.analysis.equal_kl import Path, at_equal_kl, path
from spurious.analysis.onset import onset
from spurious.analysis.same_problem import quantities, same_problem
from spurious.analysis.seeds import long
from spurious.analysis.statistics import Floats
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

KEYS = ("model", "arm", "seed")

Run = Mapping[str, Floats]
"""Columns of one run, one value a step, NaN where nothing was measured."""

Found = Iterable[tuple[str, float | None]]
"""Quantities of one run and their values."""

ACCURACY, SIGNAL, NORM, KL = "truth/accuracy", "groups/signal", "update/norm", "kl/to_start"

CONTROLS = ("tokens/mean_length", f"{BEHAVIOR}boxed")
"""What is partialled out of the correlation of code with accuracy, where it was measured."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted on the completions of one run."""

    steps: pl.DataFrame
    """One row a step: `step`, the mean of every behavior, and `ROLLOUTS` columns."""
    whole: pl.DataFrame
    """All completions as one row; no row where the habit was not looked for."""


def counted(rollouts: pl.DataFrame, habit: str = CODE) -> Counted:
    """Count the training completions of one run; `habit` is the behavior column that is called code here."""
    behaviors = [name for name in rollouts.columns if name.startswith(BEHAVIOR)]
    means = rollouts.group_by("step").agg(pl.col(behaviors).mean())
    if not rollouts.height or habit not in behaviors:
        return Counted(means, pl.DataFrame())
    called = rollouts.with_columns(pl.col(habit).alias(CODE))
    both = pl.concat([called, called.with_columns(step=pl.lit(None, pl.Int64))])
    table = strategy(both).drop("n").join(credit(both).drop("n"), on="step", nulls_equal=True)
    gap = (pl.col("code_given_paid") - pl.col("code_given_unpaid")).alias("code_gap")
    named = table.with_columns(gap).rename(lambda name: name if name == "step" else ROLLOUTS + name)
    same = [pl.lit(value, pl.Float64).alias(f"same problem/{name}") for name, value in quantities(same_problem(called))]
    return Counted(means.join(named, on="step"), table.filter(pl.col("step").is_null()).drop("step").with_columns(same))


def credits(runs: pl.DataFrame) -> pl.DataFrame:
    """`CREDIT` of every run, from rows of `Counted.whole` with `model`, `arm`, `seed`; a missing column gives none."""
    return _of_rows(runs, {name: name for name in CREDIT})


def onsets(steps: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """Onset, saturation and change of training accuracy and of code frequency in every run (`onset.onset`)."""

    def found(run: Run) -> Iterator[tuple[str, float | None]]:
        for name, column in {"accuracy": ACCURACY, "code": habit}.items():
            curve = _measured(run, "step", column)
            moved = onset(*curve) if curve is not None else None
            if moved is not None:
                yield f"{name} onset", moved.onset
                yield f"{name} saturation", moved.saturation
                yield f"{name} change", moved.change

    return _of_runs(steps, found, ACCURACY, habit)


def code_and_accuracy(steps: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """The correlations of code frequency with training accuracy in every run (`correlation.correlations`)."""

    def found(run: Run) -> Iterator[tuple[str, float | None]]:
        controls = [column for column in CONTROLS if column in run]
        series = _measured(run, habit, ACCURACY, *controls)
        if series is not None:
            code, accuracy, *others = series
            yield from correlations(code, accuracy, others).items()

    return _of_runs(steps, found, habit, ACCURACY, *CONTROLS)


def strategy_changes(steps: pl.DataFrame) -> pl.DataFrame:
    """Whether answers in code, and answers in language, got better: each kind's accuracy in the first and last steps.

    The first and the last quarter of the steps of a run, completions pooled. Quantities: `code early`, `code late`,
    `code change`, `code early n`, `code late n`, and the same of `language`.
    """
    columns = {
        kind: [f"{ROLLOUTS}{name}_{word}_code" for name in ("accuracy", "graded")]
        for kind, word in (("code", "with"), ("language", "without"))
    }

    def found(run: Run) -> Iterator[tuple[str, float | None]]:
        quarter = max(1, len(run["step"]) // 4)
        for kind, (share, count) in columns.items():
            if count in run:
                ends = (slice(quarter), slice(-quarter, None))
                early, late = (_pooled(run[share][part], run[count][part]) for part in ends)
                yield f"{kind} early", early[0]
                yield f"{kind} late", late[0]
                yield f"{kind} change", None if early[0] is None or late[0] is None else late[0] - early[0]
                yield f"{kind} early n", early[1]
                yield f"{kind} late n", late[1]

    return _of_runs(steps, found, *columns["code"], *columns["language"])


def same_problems(runs: pl.DataFrame, evals: pl.DataFrame, habit: str = CODE) -> pl.DataFrame:
    """Code minus language, pooled and within problems, in every run: in training, and in benches asked more than once.

    Quantities are `training naive`, `training within` and so on, and for a bench `BENCH before naive` (step 0) and
    `BENCH after naive` (its last step).
    """
    names = ("naive", "within", "explained by the problem")
    tables = [_of_rows(runs, {f"training {name}": f"same problem/{name}" for name in names})]
    if evals.height and habit in evals.columns:
        named = evals.select(*KEYS, "bench", "step", "problem_id", "sample", "grade", habit)
        by_run = named.partition_by(*KEYS, as_dict=True, maintain_order=True)
        tables.append(long(row for where, run in by_run.items() for row in _rows(where, _benches(run, habit))))
    return pl.concat(tables)


def collapses(steps: pl.DataFrame) -> pl.DataFrame:
    """The step at which each sign of a breakdown first showed in every run (`collapse.collapse`)."""

    def found(run: Run) -> Iterator[tuple[str, float | None]]:
        for name, column in COLLAPSE.items():
            curve = _measured(run, "step", column)
            if curve is not None:
                yield from collapse(curve[0].astype(int).tolist(), {name: curve[1]}).items()

    return _of_runs(steps, found, *COLLAPSE.values())


def step_and_signal(steps: pl.DataFrame) -> pl.DataFrame:
    """How far the steps of every run went for how much signal (`step_sizes.step_sizes`), and the KL of a step."""

    def found(run: Run) -> Iterator[tuple[str, float | None]]:
        both = _measured(run, SIGNAL, NORM)
        if both is not None:
            yield from step_sizes(*both)
        far = _measured(run, "step", KL)
        if far is not None and len(far[0]) > 1:
            step, kl = far
            yield "KL a step", float((kl[-1] - kl[0]) / (step[-1] - step[0]))

    return _of_runs(steps, found, SIGNAL, NORM, KL)


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
    columns = {"entropy": "entropy/mean", "code": habit, "accuracy": ACCURACY}
    paths = {}
    for where, run in _runs(steps, KL, *columns.values()):
        both = {name: _measured(run, KL, column) for name, column in columns.items()}
        paths[where] = {name: path(*series) for name, series in both.items() if series is not None}
    return paths


def bench_changes(evals: pl.DataFrame, train: Mapping[str, str]) -> pl.DataFrame:
    """Every benchmark before and after training, in every run (`benches.changes`)."""
    if not evals.height:
        return long([])
    right = (pl.col("grade") == "correct").mean()
    table = evals.group_by(*KEYS, "bench", "step", maintain_order=True).agg(right.alias("accuracy"))
    by_run = table.partition_by(*KEYS, as_dict=True, maintain_order=True)
    return long(
        row
        for where, run in by_run.items()
        for row in _rows(where, changes({(b, s): a for b, s, a in run[:, 3:].iter_rows()}, train))
    )


def passes(evals: pl.DataFrame) -> pl.DataFrame:
    """Pass@k of every benchmark asked more than once, before and after training, in every run (`benches.pass_curve`).

    Quantities are `BENCH before pass@K` and `BENCH after pass@K`.
    """
    if not evals.height or not evals["sample"].max():
        return long([])
    last = pl.col("step").max().over(*KEYS, "bench")
    named = evals.select(*KEYS, "bench", "step", "problem_id", "sample", "grade")
    ends = named.filter((pl.col("sample").max().over("bench") > 0) & ((pl.col("step") == 0) | (pl.col("step") == last)))
    problems = ends.group_by(*KEYS, "bench", "step", "problem_id", maintain_order=True).agg(
        pl.len().alias("n"), (pl.col("grade") == "correct").sum().alias("right")
    )
    alike = problems.group_by(*KEYS, "bench", "step", "n", "right", maintain_order=True).len().sort("n", "right")
    parts = alike.partition_by(*KEYS, "bench", "step", as_dict=True, maintain_order=True)
    rows: list[Mapping[str, object]] = []
    for (model, arm, seed, bench, step), cells in sorted(parts.items()):
        curve = pass_curve(list(cells.select("n", "right", "len").iter_rows()))
        word = "after" if step else "before"
        rows += _rows((model, arm, seed), ((f"{bench} {word} pass@{k}", share) for k, share in curve.items()))
    return long(rows)


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


def _pooled(shares: Floats, counts: Floats) -> tuple[float | None, float]:
    """Accuracy and number of the completions of several steps."""
    n = float(np.nansum(counts))
    return (float(np.nansum(shares * counts)) / n if n else None), n


def _runs(steps: pl.DataFrame, *columns: str) -> Iterator[tuple[tuple[str, str, int], Run]]:
    """Every run with those of its columns that are there."""
    if not steps.height:
        return
    there = [name for name in dict.fromkeys(("step", *columns)) if name in steps.columns]
    numbers = [pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in there]
    ordered = steps.select(*KEYS, *numbers).sort("step", maintain_order=True)
    for (model, arm, seed), run in ordered.partition_by(*KEYS, as_dict=True, maintain_order=True).items():
        yield (model, arm, seed), {name: run.get_column(name).to_numpy() for name in there}


def _measured(run: Run, *columns: str) -> list[Floats] | None:
    """The columns at the steps in which all of them were measured; None where there is no such step."""
    if any(column not in run for column in columns):
        return None
    known = ~np.isnan(np.array([run[column] for column in columns])).any(axis=0)
    return [run[column][known] for column in columns] if known.any() else None


def _of_runs(steps: pl.DataFrame, found: Callable[[Run], Found], *columns: str) -> pl.DataFrame:
    return long(row for where, run in _runs(steps, *columns) for row in _rows(where, found(run)))


def _rows(where: tuple[Any, ...], found: Found) -> list[Mapping[str, object]]:
    model, arm, seed = where
    return [{"model": model, "arm": arm, "seed": seed, "quantity": name, "value": value} for name, value in found]


def _of_rows(table: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    return long(
        {"model": row["model"], "arm": row["arm"], "seed": row["seed"], "quantity": name, "value": row[column]}
        for row in table.iter_rows(named=True)
        for name, column in columns.items()
        if column in row
    )
