"""Reading run directories back as tables, for notebooks, analyses and reports; never imports torch."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from spurious.errors import StoreError
from spurious.store.files import complete_lines
from spurious.store.run import read_manifest


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


def _metrics(directory: Path) -> pl.DataFrame:
    path = directory / "metrics.jsonl"
    rows = [json.loads(line) for line in complete_lines(path)] if path.exists() else []
    return _marked(pl.DataFrame(rows, infer_schema_length=None), directory)


def _tables(directory: Path, folder: str, steps: Collection[int] | None, texts: bool) -> pl.DataFrame:
    """The files of one run, read together: one by one, opening them takes longer than what is in them."""
    files = []
    for path in sorted((directory / folder).glob("[0-9]*.parquet")):
        step, _, bench = path.stem.partition("-")
        if steps is None or int(step) in steps:
            file = pl.scan_parquet(path)
            files.append(file.with_columns(pl.lit(bench).alias("bench")) if folder == "evals" else file)
    if not files:
        return pl.DataFrame()
    rows = pl.concat(files, how="diagonal_relaxed")
    return _marked((rows if texts else rows.drop("prompt", "text", strict=False)).collect(), directory)


def _marked(table: pl.DataFrame, directory: Path) -> pl.DataFrame:
    return table.with_columns(pl.lit(read_manifest(directory)["fingerprint"]).alias("run")) if table.height else table


def _concat(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    filled = [table for table in frames if table.height]
    return pl.concat(filled, how="diagonal_relaxed") if filled else pl.DataFrame()
