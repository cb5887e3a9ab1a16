"""What a report is made from: the declared question, the grid of runs, and their tables, cut down to what is shown.

A study of a hundred runs holds millions of completions; they are read run by run, without their texts except for the
few that the browser of completions shows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import polars as pl

from spurious.analysis import CORRECT
from spurious.analysis.by_run import Counted, counted
from spurious.keys import key
from spurious.progress import Progress, quiet
from spurious.report.habit import CODE, Habit
from spurious.store import load
from spurious.store.written import read_manifest

State = Literal["owed", "running", "failed", "done"]
"""How far a run is."""

UNREAD = ("answer", "kind", "logprob")
"""Columns of evaluations that nothing in a report asks for: three million rows are many."""
SHOWN_COMPLETIONS = 320
"""Completions in a report, over all its runs."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the grid."""

    arm: str
    role: str
    """treatment, placebo or control; empty for a run outside a study."""
    model: str
    seed: int
    run: str
    """The run's fingerprint; empty while it is not known."""
    directory: Path | None
    state: State
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the question is decided by."""

    metric: str
    """accuracy, strict_accuracy, tokens, truncated, or the name of a behavior column."""
    step: int | Literal["final"]
    bench: str
    value: pl.Expr = CORRECT
    """The metric of one evaluated completion."""

    @property
    def prompts_matter(self) -> bool:
        """Whether there is a best prompt: more is better."""
        return self.metric in ("accuracy", "strict_accuracy")

    def __str__(self) -> str:
        """The short form, as a study declares it."""
        return f"{self.metric}@{self.step} on {self.bench}"


@dataclass(frozen=True, slots=True)
class Declared:
    """What was said before looking."""

    name: str
    question: str
    expectation: str
    outcome: Outcome | None
    """None: nothing was evaluated and nothing declared."""
    pairs: tuple[tuple[str, str], ...]
    """(arm, the arm it is compared with)."""
    margin: float | None
    """The largest effect that counts as none, in units of the outcome."""
    text: str
    """The declaration in full, as YAML or JSON."""
    command: str
    """What reproduces it."""
    changes: tuple[Mapping[str, Any], ...] = ()
    """Earlier versions of the declaration, oldest first, where it was changed."""
    conclusion: Mapping[str, Any] | None = None
    """The verdict and the flags of an audit, as it stored them."""
    habit: Habit = CODE
    """What strategy switches and curves follow."""


@dataclass(frozen=True, slots=True)
class Material:
    """Everything a report is made from; every table has `arm`, `role`, `model`, `seed` and `run`."""

    declared: Declared
    cells: tuple[Cell, ...]
    evals: pl.DataFrame
    """One row an evaluated completion, without texts. Millions in a large study: choose columns, then rows."""
    metrics: pl.DataFrame
    """One row a step and run, with what `analysis.by_run.counted` counts on that step's completions."""
    completions: pl.DataFrame
    """A few training completions with their texts, the same places of every run."""
    manifests: Mapping[str, Mapping[str, Any]]
    """By fingerprint."""
    prompted: pl.DataFrame
    """Rows of the untrained models under several prompts, with `model`, `prompt_name` and `problem_id`; or empty."""
    trained: pl.DataFrame
    """One row a run, with what `analysis.by_run.counted` counts on all its training completions."""

    @property
    def arms(self) -> list[str]:
        """In the order they were declared."""
        return list(dict.fromkeys(cell.arm for cell in self.cells))

    @property
    def models(self) -> list[str]:
        """In the order they were declared."""
        return list(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def seeds(self) -> list[int]:
        """In ascending order."""
        return sorted({cell.seed for cell in self.cells})

    def role(self, arm: str) -> str:
        """What the arm is for."""
        return next(cell.role for cell in self.cells if cell.arm == arm)


def gather(
    declared: Declared,
    cells: Sequence[Cell],
    prompted: pl.DataFrame | None = None,
    progress: Progress = quiet,
) -> Material:
    """Read what the cells' run directories hold. Unfinished runs are left out of the tables unless none is done.

    `prompted` holds what the untrained models did under several prompts, if that is known.
    """
    readable = [cell for cell in cells if cell.directory is not None and (cell.directory / "manifest.json").exists()]
    shown = [cell for cell in readable if cell.state == "done"] or readable
    quota = max(4, SHOWN_COMPLETIONS // max(1, len(shown)))
    tables = []
    for cell in shown:
        tables.append(_read(cell, quota, declared.habit))
        progress("read", len(tables), len(shown), "")
    return Material(
        declared,
        tuple(cells),
        evals=_concat(one.evals for one in tables),
        metrics=_concat(one.metrics for one in tables),
        completions=_concat(one.completions for one in tables),
        trained=_concat(one.trained for one in tables),
        manifests={cell.run: read_manifest(cell.directory) for cell in readable if cell.directory is not None},
        prompted=pl.DataFrame() if prompted is None else prompted,
    )


def single_run(directory: Path) -> Material:
    """A run outside any study."""
    manifest = read_manifest(directory)
    spec = manifest["spec"]
    done = (directory / "DONE").exists()
    attempt = manifest["attempts"][-1] if manifest["attempts"] else {}
    arm = arm_in_words(spec)
    cell = Cell(
        arm=arm,
        role="",
        model=PurePath(spec["model"]).name,
        seed=spec["seed"],
        run=manifest["fingerprint"],
        directory=directory,
        state="done" if done else "failed" if attempt.get("status") == "failed" else "running",
        error=attempt.get("error", ""),
    )
    evals = load(directory).rows("evals", texts=False)
    found = evals["bench"].unique().sort().to_list() if evals.height else []
    declared = Declared(
        name=directory.name,
        question=f"What did {steps_in_words(spec['steps'])} of {arm} do to {cell.model}?",
        expectation="",
        outcome=Outcome("accuracy", "final", found[0]) if found else None,
        pairs=(),
        margin=None,
        text=json.dumps(spec, indent=2),
        command=_again(directory),
    )
    return gather(declared, [cell])


def arm_in_words(spec: Mapping[str, Any]) -> str:
    """What a run outside any study was paid for."""
    label = spec["label"]["name"]
    return str(spec["reward"]["name"]) + ("" if label == "true" else f" on {label} labels")


def steps_in_words(steps: int) -> str:
    """How long a run is."""
    return "1 step" if steps == 1 else f"{steps} steps"


def _again(directory: Path) -> str:
    """The run from its own manifest: every field, also those that no option of the command line has."""
    program = (
        "import json, sys; from pathlib import Path; from spurious.specs import RunSpec; "
        "from spurious.grpo.trainer import train; "
        "train(RunSpec.model_validate(json.load(open(sys.argv[1]))['spec']), Path(sys.argv[2]))"
    )
    return f'python -c "{program}" {directory / "manifest.json"} again'


@dataclass(frozen=True, slots=True)
class _RunTables:
    evals: pl.DataFrame
    metrics: pl.DataFrame
    completions: pl.DataFrame
    trained: pl.DataFrame


def _read(cell: Cell, quota: int, habit: Habit) -> _RunTables:
    """The tables of one run; its completions are counted here and dropped, all but a few."""
    assert cell.directory is not None
    runs = load(cell.directory)
    rollouts = runs.rows("rollouts", texts=False)
    metrics = runs.metrics
    counts = counted(rollouts, habit.column) if rollouts.height else Counted(pl.DataFrame(), pl.DataFrame())
    if metrics.height and rollouts.height:
        metrics = metrics.join(counts.steps, on="step", how="left")
    ends = sorted(rollouts["step"].unique())[:: max(1, rollouts["step"].n_unique() - 1)] if rollouts.height else []
    sampled = _concat(_sample(runs.rows("rollouts", steps=[step]), quota // 2) for step in ends)
    evals = runs.rows("evals", texts=False).drop(UNREAD, strict=False)
    return _RunTables(*(_marked(table, cell) for table in (evals, metrics, sampled, counts.whole)))


def _sample(rows: pl.DataFrame, n: int) -> pl.DataFrame:
    """Rows of one step, chosen by key: runs that share a seed show the same problems and the same places."""
    places = rows.select("problem_id", "copy", "sample").iter_rows()
    keys = pl.Series("key", [key("report", *place) for place in places], dtype=pl.UInt64)
    return rows.with_columns(keys).sort("key").head(n).drop("key")


def _marked(table: pl.DataFrame, cell: Cell) -> pl.DataFrame:
    if not table.height:
        return table
    return table.with_columns(
        pl.lit(cell.arm).alias("arm"),
        pl.lit(cell.role).alias("role"),
        pl.lit(cell.model).alias("model"),
        pl.lit(cell.seed).alias("seed"),
        pl.lit(cell.run).alias("run"),
    )


def _concat(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    filled = [table for table in tables if table.height]
    return pl.concat(filled, how="diagonal_relaxed") if filled else pl.DataFrame()
