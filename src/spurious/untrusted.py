"""Row files that somebody else wrote: refused before they fill the memory.

A data file, a rollout file and a table of votes are data: nothing in them is run or unpickled. Their sizes are looked
at first, a parquet file's also in its own account of what it unpacks to, and then what was unpacked.
"""

from pathlib import Path

import polars as pl

from spurious.errors import DataError

MAX_BYTES = 2 * 1024**3
"""The largest file that is opened, in bytes as stored."""
MAX_ROWS = 2_000_000
"""The most rows that one parquet file may hold."""
MAX_UNPACKED = 8 * 1024**3
"""Bytes that a parquet file may say it unpacks to."""
MAX_CELL = 8_000_000
"""Bytes of one text in a table: two million characters of four bytes."""


def check_bytes(path: Path) -> None:
    """Refuse a file that is too large to be opened.

    Raises:
        DataError: it is no file, or has more than `MAX_BYTES`.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes; at most {MAX_BYTES:,} are read")


def check_parquet(path: Path) -> None:
    """Refuse a parquet file for what it says about itself, without unpacking it.

    Raises:
        DataError: it is none, or too large: as stored, unpacked, or in rows.
    """
    from pyarrow import ArrowException, parquet

    check_bytes(path)
    try:
        about = parquet.read_metadata(path)
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as parquet: {error}") from error
    if about.num_rows > MAX_ROWS:
        raise DataError(f"{path}: {about.num_rows:,} rows; at most {MAX_ROWS:,} are read")
    unpacked = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
    if unpacked > MAX_UNPACKED:
        raise DataError(f"{path}: {unpacked:,} bytes when unpacked; at most {MAX_UNPACKED:,} are")


def read_parquet(path: Path) -> pl.DataFrame:
    """A parquet file as a table, no text in it longer than `MAX_CELL`.

    Raises:
        DataError: it is none, or too large; the message names file, row and column.
    """
    check_parquet(path)
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not readable as parquet: {error}") from error
    for name in table.columns:
        if table.schema[name] == pl.String:
            too_long = (table[name].str.len_bytes() > MAX_CELL).arg_true()
            if len(too_long):
                raise DataError(f"{path}, row {too_long[0] + 1}, column {name!r}: more than {MAX_CELL:,} bytes of text")
    return table
