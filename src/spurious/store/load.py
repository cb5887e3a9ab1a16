"""Reading run directories back as tables, for notebooks, analyses and reports; never imports torch."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from spurious.errors import StoreError
from spurious.store.digests import Known
from spurious.store.written import METRICS, known_files, line_name, read_lines, read_manifest, step_of


@dataclass(frozen=True)
class Runs:
    """The runs found under one path, as Polars frames; every table has a `run` column with the fingerprint."""

    directories: tuple[Path, ...]

    @cached_property
    def runs(self) -> pl.DataFrame:
        """One row a run: fingerprint, directory, model, reward, label, seed, steps, whether it is done."""
        return pl.DataFrame([_run_row(directory) for directory in self.directories])

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """One row a step; nested values (histograms) stay lists."""
        return _concat(_metrics(directory) for directory in self.directories)

    @cached_property
    def rollouts(self) -> pl.DataFrame:
        """One row a sampled training completion."""
        return self.rows("rollouts")

    @cached_property
    def evals(self) -> pl.DataFrame:
        """One row an evaluated completion, with the bench it belongs to."""
        return self.rows("evals")

    def rows(
        self, folder: Literal["rollouts", "evals"], *, steps: Collection[int] | None = None, texts: bool = True
    ) -> pl.DataFrame:
        """One row a completion, of some steps only, or without `prompt` and `text`: what a large run can be read as."""
        return _concat(_tables(directory, folder, steps, texts) for directory in self.directories)


def load(path: str | Path) -> Runs:
    """Open a run directory, or all run directories below a path.

    Raises:
        StoreError: there is none.
    """
    root = Path(path)
    found = tuple(sorted(manifest.parent for manifest in root.rglob("manifest.json")))
    if not found:
        raise StoreError(f"{root}: no run directory here (no manifest.json at or below it)")
    return Runs(found)


def _run_row(directory: Path) -> dict[str, Any]:
    manifest = read_manifest(directory)
    spec = manifest["spec"]
    return {
        "run": manifest["fingerprint"],
        "directory": str(directory),
        "model": spec["model"],
        "reward": json.dumps(spec["reward"]),
        "label": json.dumps(spec["label"]),
        "seed": spec["seed"],
        "steps": spec["steps"],
        "done": (directory / "DONE").exists(),
        "attempts": len(manifest["attempts"]),
    }


def metrics_rows(directory: Path) -> list[dict[str, Any]]:
    """The metrics of a run, one row a step, as they were written.

    Raises:
        StoreError: the manifest or a line is damaged, or a line of a run that is done is missing.
    """
    known = known_files(directory, read_manifest(directory))
    lines = read_lines(directory, known)
    if _done(directory):
        there = {line_name(step) for step, _ in lines}
        if lost := sorted(set(known.names(METRICS)) - there):
            raise StoreError(
                f"{directory / METRICS}: damaged, the line of step {lost[0].rpartition(':')[2]} is missing"
            )
    return [json.loads(line) for _, line in lines]


def _metrics(directory: Path) -> pl.DataFrame:
    return _marked(pl.DataFrame(metrics_rows(directory), infer_schema_length=None), directory)


def _tables(directory: Path, folder: str, steps: Collection[int] | None, texts: bool) -> pl.DataFrame:
    """The files of one run, read together: one by one, opening them takes longer than what is in them."""
    paths = [path for path in sorted((directory / folder).glob("[0-9]*.parquet")) if _within(path.name, steps)]
    known = known_files(directory, read_manifest(directory))
    _check_all(directory, folder, paths, steps, known)
    files = []
    for path in paths:
        file, bench = pl.scan_parquet(path), path.stem.partition("-")[2]
        files.append(file.with_columns(pl.lit(bench).alias("bench")) if folder == "evals" else file)
    if not files:
        return pl.DataFrame()
    rows = pl.concat(files, how="diagonal_relaxed")
    return _marked((rows if texts else rows.drop("prompt", "text", strict=False)).collect(), directory)


def _check_all(
    directory: Path, folder: str, paths: Iterable[Path], steps: Collection[int] | None, known: Known
) -> None:
    """Every file is as it was written; of a run that is done none is missing."""
    names = {f"{folder}/{path.name}" for path in paths}
    if _done(directory):
        names |= {name for name in known.names(f"{folder}/") if _within(name.partition("/")[2], steps)}
    for name in sorted(names):
        known.check(name)


def _within(file: str, steps: Collection[int] | None) -> bool:
    return steps is None or step_of(file) in steps


def _done(directory: Path) -> bool:
    return (directory / "DONE").exists()


def _marked(table: pl.DataFrame, directory: Path) -> pl.DataFrame:
    return table.with_columns(pl.lit(read_manifest(directory)["fingerprint"]).alias("run")) if table.height else table


def _concat(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    filled = [table for table in frames if table.height]
    return pl.concat(filled, how="diagonal_relaxed") if filled else pl.DataFrame()
