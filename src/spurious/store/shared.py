"""Tables that come out the same for many runs of a store: made once, and copied into each of them."""

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from spurious.store.files import file_digest, remove, replacing
from spurious.store.fingerprint import digest


class Shared:
    """Tables by what they were made from. A damaged one is made again."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` keeps them; None: nothing is kept."""
        self._folder = folder

    def table(self, made_from: Mapping[str, Any], make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """The table that `make` would return; who wants it while another process makes it waits.

        Args:
            made_from: everything that the table depends on, as JSON.
            make: makes it.
        """
        if self._folder is None:
            return make()
        kept = self._folder / digest(made_from)[:32]
        rows, seal = kept / "rows.parquet", kept / "sha256"
        with alone(kept):
            if rows.exists() and seal.exists() and seal.read_text(encoding="ascii") == file_digest(rows):
                return pl.read_parquet(rows)
            table = make()
            remove(kept)
            with replacing(kept) as temporary:
                temporary.mkdir()
                table.write_parquet(temporary / rows.name)
                (temporary / seal.name).write_text(file_digest(temporary / rows.name), encoding="ascii")
        return table


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make `out` while nobody else does: whoever comes second waits, and finds it made."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / f".{out.name}.lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
