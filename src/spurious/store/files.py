"""Writing so that a reader sees the old file or the new one, never half of one."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; when the block succeeds, sync it and rename it to `path`.

    Works for a file and for a directory of files. If the block raises, what it wrote is removed, `path` is as before.
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


def keep_lines(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Rewrite a JSONL file with the rows that `keep` accepts; a torn last line, which a crash leaves, is dropped."""
    if not path.exists():
        return
    rows = [line for line in complete_lines(path) if keep(json.loads(line))]
    write_text(path, "".join(f"{row}\n" for row in rows))


def complete_lines(path: Path) -> list[str]:
    """The lines of a text file that end in a newline; bytes after the last one are a torn write, not a line."""
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1].decode("utf-8").split("\n")[:-1]
