"""Completions kept as they come, so that an interrupted evaluation or labeling goes on instead of starting over.

Every line ends with the CRC-32 of what it says, so that a bit that a disk has flipped is no other answer.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zlib import crc32

from spurious.errors import LockedError, StoreError
from spurious.store.files import complete_lines, complete_rows
from spurious.store.fingerprint import digest
from spurious.types import Completion, Group, Prompt

CRC = "crc32"

_START_OVER = "remove it to sample everything again"


class Journal:
    """An append-only file of finished groups, headed by what was asked for. Use as a context manager."""

    def __init__(self, path: Path, request: Mapping[str, Any]) -> None:
        """Open or create the journal of one request.

        Raises:
            StoreError: the file belongs to another request, is damaged, or is being written by another process.
        """
        self._path, self._header = path, digest(dict(request))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        try:
            self._lock()
            self._groups = self._read()
            if self._file.seek(0, os.SEEK_END) == 0:
                self._append({"request": self._header})
        except BaseException:
            self._file.close()
            raise

    def done(self, prompts: Iterable[Prompt]) -> list[Group]:
        """The groups that are already there, for those of the prompts that have one."""
        return [
            Group(
                prompt, tuple(_completion(row) for row in self._groups[prompt.problem.id, prompt.copy]["completions"])
            )
            for prompt in prompts
            if (prompt.problem.id, prompt.copy) in self._groups
        ]

    def add(self, group: Group) -> None:
        """Keep one more finished group."""
        self._append(
            {
                "problem_id": group.prompt.problem.id,
                "copy": group.prompt.copy,
                "completions": [asdict(completion) for completion in group.completions],
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(f"{self._path}: another process is writing these completions") from error

    def _read(self) -> dict[tuple[str, int], dict[str, Any]]:
        """What is there, by problem and copy; a torn last line is cut off, or the next would be glued to it."""
        self._file.truncate(sum(len(line.encode()) + 1 for line in complete_lines(self._path)))
        rows = complete_rows(self._path)
        for number, row in enumerate(rows, 1):
            if (said := row.pop(CRC, None)) is not None and said != _crc(row):
                raise StoreError(f"{self._path}, line {number}: damaged, not what was written; {_START_OVER}")
        if rows and rows[0].get("request") != self._header:
            raise StoreError(f"{self._path}: holds the answers to another request; choose another folder or remove it")
        try:
            return {(row["problem_id"], row["copy"]): row for row in rows[1:]}
        except KeyError as error:
            raise StoreError(f"{self._path}: damaged, a line without {error}; {_START_OVER}") from error

    def _append(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps({**row, CRC: _crc(row)}) + "\n")
        self._file.flush()


def _crc(row: Mapping[str, Any]) -> int:
    return crc32(json.dumps(row).encode())


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        text=row["text"],
        token_ids=tuple(row["token_ids"]),
        sampler_logprobs=tuple(row["sampler_logprobs"]),
        stop=row["stop"],
        entropies=tuple(row["entropies"]),
        self_certainties=tuple(row["self_certainties"]),
    )
