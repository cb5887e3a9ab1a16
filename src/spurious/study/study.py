"""A study opened for reading: its grid with the state of every run, and the tables of the runs that are done."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from spurious.errors import StoreError
from spurious.grpo.arm import Inputs
from spurious.store.load import Runs
from spurious.store.state import run_state
from spurious.study.cells import Cell, expand, origins
from spurious.study.record import read_failure, read_study
from spurious.study.spec import StudySpec, load_spec


@dataclass(frozen=True)
class Study:
    """The grid as it stood when it was opened. Every table has the columns arm, role, model, seed and run.

    A run that is two cells of the grid is there twice, once for each.
    """

    spec: StudySpec
    store: Path
    cells: tuple[Cell, ...]

    def evals(self, *, texts: bool = True) -> pl.DataFrame:
        """One row an evaluated completion of a run that is done, with `bench` and the columns of `store.tables`.

        Without `texts` the columns `prompt` and `text` are left out: what a large study can be read as.
        """
        return self._tables(lambda runs: runs.rows("evals", texts=texts))

    def rollouts(
        self, *, arms: Collection[str] = (), steps: Collection[int] | None = None, texts: bool = True
    ) -> pl.DataFrame:
        """One row a completion sampled in training by a run that is done; only of some arms or steps, where given."""
        return self._tables(lambda runs: runs.rows("rollouts", steps=steps, texts=texts), arms)

    def metrics(self) -> pl.DataFrame:
        """One row a step of a run that is done; nested values (histograms) stay lists."""
        return self._tables(lambda runs: runs.metrics)

    def source(self, model: str, data_dir: Path | None = None) -> str:
        """Where the model of this name is: a directory or a hub id; `data_dir` as for `open_study`."""
        return origins(self.spec, self.store, Inputs(data_dir))[model].source

    def _tables(self, table: Callable[[Runs], pl.DataFrame], arms: Collection[str] = ()) -> pl.DataFrame:
        read: dict[Path, pl.DataFrame] = {}
        frames = []
        for cell in self.cells:
            if cell.state != "done" or cell.directory is None or (arms and cell.arm not in arms):
                continue
            if cell.directory not in read:
                read[cell.directory] = table(Runs((cell.directory,)))
            rows = read[cell.directory]
            names = {"arm": cell.arm, "role": cell.role, "model": cell.model, "seed": cell.seed}
            if rows.height:
                frames.append(rows.with_columns(pl.lit(value).alias(name) for name, value in names.items()))
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def open_study(
    path: str | Path, store: Path = Path("runs"), *, profile: str | None = None, data_dir: Path | None = None
) -> Study:
    """Open a study: from its YAML file, or from the folder that `study run` left in a store.

    From the file, runs are found by what they are now. From the folder (`<store>/studies/<name>`; the store is the one
    it lies in) they are found by what they were when the study was run last, without loading any task.

    Raises:
        SpecError: the file is wrong; the message names file and field.
        StoreError: the folder is not a study's, or a run in it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        if profile is not None:
            raise StoreError(f"{path}: is a study that was run already; its profile, if any, is part of it")
        spec, cells = read_study(path)
        store = path.resolve().parent.parent
    else:
        spec = load_spec(path, profile)
        cells = [planned.cell for planned in expand(spec, store, data_dir)]
    return Study(spec, store, inspect(cells, store, spec.name))


def inspect(cells: Sequence[Cell], store: Path, study: str) -> tuple[Cell, ...]:
    """The cells with the state of their runs, read now."""
    return tuple(_inspected(cell, store, study) for cell in cells)


def _inspected(cell: Cell, store: Path, study: str) -> Cell:
    if cell.fingerprint is None or cell.directory is None:
        return cell
    run = run_state(cell.directory)
    now = replace(cell, state=run.state, steps=run.steps, seconds=run.seconds, error=run.error, log=run.log)
    failure = read_failure(store, study, cell.fingerprint) if run.state in ("owed", "failed") else None
    return replace(now, state="failed", error=failure.error, log=Path(failure.log)) if failure else now
