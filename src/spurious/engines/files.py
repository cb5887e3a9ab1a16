"""Rows of foreign files, behind limits: nothing is unpickled or evaluated, and what is too large is refused unread."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from spurious import untrusted
from spurious.errors import DataError
from spurious.tasks.files import SUFFIXES, read_rows

Row = tuple[int, Mapping[str, Any]]
"""A row and its number in the file, from 1."""


def list_files(path: Path) -> list[Path]:
    """The files a path stands for: itself, or the row files in a folder, in the order of the numbers in their names.

    TRL's output folder stands for the `completions` folder in it.

    Raises:
        DataError: there is no such path, or no row file in the folder.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    folder = path / "completions" if (path / "completions").is_dir() else path
    found = [file for file in folder.iterdir() if file.is_file() and file.suffix in (".jsonl", ".parquet")]
    if not found:
        raise DataError(f"{folder}: no .jsonl or .parquet file here")
    return sorted(found, key=lambda file: _natural(file.name))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts `2.jsonl` before `10.jsonl`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def column_names(path: Path) -> Collection[str]:
    """The columns of a parquet file, or of the first row of a JSON or JSONL file.

    Raises:
        DataError: as `checked_rows`.
    """
    check_size(path)
    if path.suffix == ".parquet":
        return tuple(pl.read_parquet_schema(path))
    for _, row in read_rows(path):
        return tuple(row)
    raise DataError(f"{path}: no rows")


def checked_rows(path: Path) -> list[Row]:
    """The rows of a JSON, JSONL or parquet file.

    Raises:
        DataError: the file is of another kind, empty, broken, or larger than the limits of `spurious.untrusted`.
    """
    check_size(path)
    rows = []
    for number, row in read_rows(path):
        if number > untrusted.MAX_ROWS:
            raise DataError(f"{path}: more than {untrusted.MAX_ROWS:,} rows; split the file")
        rows.append((number, row))
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def check_size(path: Path) -> None:
    """Refuse a file for what can be known without reading its rows.

    Raises:
        DataError: it is no row file, too large, or a parquet file that claims too many rows or is none.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: rollouts are read from {', '.join(SUFFIXES)} files")
    if path.suffix == ".parquet":
        untrusted.check_parquet(path)
    else:
        untrusted.check_bytes(path)
