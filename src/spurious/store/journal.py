"""Completions kept as they come, so that an interrupted evaluation or labeling goes on instead of starting over."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from spurious.errors import StoreError
from spurious.store.files import complete_lines
from spurious.store.fingerprint import digest
from spurious.types import Completion, Group, Prompt


class Journal:
    """An append-only file of finished groups, headed by what was asked for. Use as a context manager."""

    def __init__(self, path: Path, request: Mapping[str, Any]) -> None:
        """Open or create the journal of one request.

        Raises:
            StoreError: the file belongs to another request, or is damaged.
        """
        self._path, self._header = path, digest(dict(request))
        self._groups: dict[tuple[str, int], dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._read()
        self._file = path.open("a", encoding="utf-8")
        if self._file.tell() == 0:
            self._append({"request": self._header})

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

    def _read(self) -> None:
        lines = complete_lines(self._path)
        torn = self._path.stat().st_size - sum(len(line.encode()) + 1 for line in lines)
        if torn:  # a crash in the middle of a line: cut it off, or the next line would be glued to it
            with self._path.open("r+b") as file:
                file.truncate(self._path.stat().st_size - torn)
        try:
            rows = [json.loads(line) for line in lines]
        except ValueError as error:
            raise StoreError(f"{self._path}: damaged: {error}") from error
        if rows and rows[0].get("request") != self._header:
            raise StoreError(f"{self._path}: holds the answers to another request; choose another folder or remove it")
        self._groups = {(row["problem_id"], row["copy"]): row for row in rows[1:]}

    def _append(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        text=row["text"],
        token_ids=tuple(row["token_ids"]),
        sampler_logprobs=tuple(row["sampler_logprobs"]),
        stop=row["stop"],
        entropies=tuple(row["entropies"]),
        self_certainties=tuple(row["self_certainties"]),
    )
