"""Evaluation rows of any trainer as one arm of a comparison: which model and which seed every file is."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from spurious.engines.read import FormatName, Rollouts, read
from spurious.errors import DataError, InputError

NAMELESS = "the model"
"""What a model is called whose rows and arguments do not name it."""


@dataclass(frozen=True, slots=True)
class Arm:
    """The rows of one arm."""

    by_model: Mapping[str, pl.DataFrame]
    """Completion rows with a `seed`, one table a model."""
    sources: tuple[Rollouts, ...]
    """The files in the order given."""


def read_arm(
    arguments: Sequence[str],
    word: str,
    *,
    format: FormatName | None = None,
    columns: Mapping[str, str] | None = None,
    step: int | None = None,
) -> Arm:
    """The evaluation rows of one arm, one file a seed.

    Args:
        arguments: `PATH` or `MODEL=PATH`. Rows with a `seed` or `model` column say themselves what they are; else a
            file's place among those of its model (from 0) stands for its seed, so that order pairs the arms.
        word: how messages call the arm.
        format: as `read`.
        columns: as `read`.
        step: only rows of this step; None: all, which must be of one step.

    Raises:
        DataError: a file cannot be read, is a run of several steps or has rows that are not graded.
        InputError: a path is given twice, or some files name their seeds and others do not.
    """
    tables: dict[str, list[pl.DataFrame]] = defaultdict(list)
    sources = []
    paths: list[Path] = []
    for argument in arguments:
        name, path = _named(argument)
        if path.resolve() in paths:
            raise InputError(f"{word}: {path} is given twice; every seed has its own rows")
        paths.append(path.resolve())
        source = _one(read(path, format=format, columns=columns), path)
        sources.append(source)
        rows = _at(source, step)
        _refuse_unusable(rows, path)
        labeled = rows.with_columns(model=pl.lit(name) if name else pl.col("model").fill_null(NAMELESS))
        for (model,), table in labeled.group_by("model", maintain_order=True):
            tables[str(model)].append(table)
    return Arm({model: _seeded(files, f"{word}, {model}") for model, files in tables.items()}, tuple(sources))


def _named(argument: str) -> tuple[str | None, Path]:
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return None, Path(argument)
    return name, Path(path)


def _one(sources: Sequence[Rollouts], path: Path) -> Rollouts:
    if path.is_dir() and sources[0].format == "own":
        raise DataError(
            f"{path}: a folder of our own tables; name one evaluation in it, such as evals/000020-chain.parquet"
        )
    return sources[0]


def _at(source: Rollouts, step: int | None) -> pl.DataFrame:
    rows = source.rows
    steps = rows["step"].unique().sort()
    if step is not None:
        rows = rows.filter(pl.col("step") == step)
        if rows.is_empty():
            raise DataError(f"{source.source}: no row of step {step}; there are {', '.join(map(str, steps))}")
    elif len(steps) > 1:
        raise DataError(
            f"{source.source}: rows of {len(steps)} steps; choose one with --step ({steps[0]} to {steps[-1]})"
        )
    return rows


def _refuse_unusable(rows: pl.DataFrame, path: Path) -> None:
    for column, why in (
        ("grade", "not graded, for want of a true answer; name its column with --column answer=NAME (or correct=NAME)"),
        ("problem_id", "of an unknown problem; name what is asked with --column prompt=NAME (or problem_id=NAME)"),
    ):
        missing = rows[column].null_count()
        if missing:
            raise DataError(f"{path}: {missing} of {rows.height} rows are {why}")


def _seeded(files: Sequence[pl.DataFrame], where: str) -> pl.DataFrame:
    named = [table["seed"].null_count() == 0 for table in files]
    if any(table["seed"].null_count() not in (0, table.height) for table in files) or len(set(named)) > 1:
        raise InputError(f"{where}: some rows name their seed and others do not")
    if not named[0]:
        files = [table.with_columns(pl.lit(index).alias("seed")) for index, table in enumerate(files)]
    return pl.concat(files, how="diagonal_relaxed")
