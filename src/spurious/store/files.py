"""Writing so that a reader sees the old file or the new one, never half of one."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spurious.errors import StoreError

UNFINISHED = ".tmp-"
"""Prefix of a file or directory that is being written or removed; whoever opens the run clears it away."""


def sync(path: Path) -> None:
    """Force a file's or directory's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, written: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield a temporary name beside `path`; when the block succeeds, sync it and rename it to `path`.

    Works for a file and for a directory of files. If the block raises, what it wrote is removed, `path` is as before.
    `written` is called with the temporary name when all is written and before it appears.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{UNFINISHED}{path.name}")
    remove(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            for inner in sorted(temporary.rglob("*")):
                sync(inner)
        sync(temporary)
        if written is not None:
            written(temporary)
        temporary.replace(path)
    except BaseException:
        remove(temporary)
        raise
    sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document, atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def remove(path: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_whole(directory: Path) -> None:
    """Remove a directory so that a crash half-way never leaves part of it under its own name."""
    doomed = directory.with_name(f"{UNFINISHED}{directory.name}-removed")
    remove(doomed)
    directory.rename(doomed)
    remove(doomed)


def file_digest(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def complete_lines(path: Path) -> list[str]:
    """The lines of a text file that end in a newline; bytes after the last one are a torn write, not a line.

    Raises:
        StoreError: it is not UTF-8.
    """
    data = path.read_bytes()
    try:
        return data[: data.rfind(b"\n") + 1].decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: damaged ({error})") from error


def complete_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file as objects; a torn last line, which a crash leaves, is none.

    Raises:
        StoreError: a line is no JSON object.
    """
    rows = []
    for number, line in enumerate(complete_lines(path), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StoreError(f"{path}, line {number}: damaged ({error})") from error
        if not isinstance(row, dict):
            raise StoreError(f"{path}, line {number}: damaged (no JSON object)")
        rows.append(row)
    return rows
