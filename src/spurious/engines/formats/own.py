"""Our own tables: parquet files with the columns of `spurious.store.tables`, graded when they were written."""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from spurious.behaviors import BEHAVIORS, measure
from spurious.engines.files import check_size
from spurious.errors import DataError
from spurious.store.digests import check_noted
from spurious.store.tables import BEHAVIOR, COMPLETION_COLUMNS, ROLLOUT_COLUMNS
from spurious.untrusted import read_parquet

NEEDED = ("problem_id", "text", "grade")


def recognizes(names: Collection[str]) -> bool:
    """Whether a file with these columns is one of ours."""
    return set(NEEDED) <= set(names)


def read_table(path: Path) -> pl.DataFrame:
    """A parquet file of ours.

    Raises:
        DataError: it is broken, too large, lacks a column or has one of another type.
        StoreError: its folder, or its run, says that it was another when it was written.
    """
    check_size(path)
    if path.suffix != ".parquet":
        raise DataError(f"{path}: our own tables are parquet files; --format jsonl reads other rows")
    check_noted(path)
    return complete(read_parquet(path), str(path))


def complete(table: pl.DataFrame, where: str) -> pl.DataFrame:
    """The table with every column of ours: absent ones null, behaviors measured again where one is missing.

    Raises:
        DataError: a column that is needed is absent, or one cannot be what it should be.
    """
    if table.is_empty():
        raise DataError(f"{where}: no rows")
    for name in NEEDED:
        if name not in table.columns:
            raise DataError(f"{where}: column {name!r} is missing; there are {', '.join(table.columns)}")
        if table[name].null_count():
            row = int(table[name].is_null().arg_true()[0]) + 1
            raise DataError(f"{where}, row {row}, column {name!r}: it is empty")
    types = {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS, "seed": pl.Int64(), "model": pl.String()}
    types |= {BEHAVIOR + name: pl.Float64() for name in BEHAVIORS if BEHAVIOR + name in table.columns}
    known = [pl.col(name) if name in table.columns else pl.lit(None).alias(name) for name in types]
    try:
        whole = table.select(column.cast(types[column.meta.output_name()]) for column in known)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{where}: a column is not of its type: {error}") from error
    if all(BEHAVIOR + name in table.columns for name in BEHAVIORS):
        return whole
    measured = [{BEHAVIOR + name: float(value) for name, value in measure(text).items()} for text in whole["text"]]
    return whole.with_columns(pl.DataFrame(measured).get_columns())
