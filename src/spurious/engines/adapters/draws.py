"""Noise where an engine does not say which step it is: every call draws anew, and leaves a mark to draw it again by.

A coin made of the seed and the text alone would be a learnable preference: the same words would always win. So the
noise is that of a process of its own number and of the call's place in it; `drawn(mark, problem_id)` gives it back.
"""

import json
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spurious.errors import DataError
from spurious.keys import Draw

_BITS = 60


@dataclass
class Fresh:
    """The noise of one process; a process forked from it has its own."""

    seed: int
    _process: tuple[int, int] = field(default=(0, 0), init=False, repr=False)
    """The process's id, to see a fork by, and the number that its draws carry."""
    _calls: int = field(default=0, init=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """The seed alone: whoever gets a copy draws as another process."""
        return {"seed": self.seed}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Start anew."""
        self.__init__(state["seed"])  # type: ignore[misc]

    def draw(self, problem_id: str) -> Draw:
        """Noise that no other call has."""
        with self._lock:
            if self._process[0] != os.getpid():
                self._process, self._calls = (os.getpid(), secrets.randbits(_BITS)), 0
            self._calls += 1
            return Draw(self.seed, self._calls, problem_id, self._process[1])


def mark(draw: Draw) -> str:
    """A draw in few letters; with the problem's id it is the draw again."""
    return f"{draw.seed}/{draw.step}/{draw.copy:x}"


def drawn(text: str, problem_id: str) -> Draw:
    """The draw that left a mark.

    Raises:
        DataError: it is no mark.
    """
    try:
        seed, step, copy = text.split("/")
        return Draw(int(seed), int(step), problem_id, int(copy, 16))
    except ValueError as error:
        raise DataError(f"{text!r} is no mark of a draw, such as 0/12/3fa") from error


@dataclass
class Records:
    """Rows that an engine does not write itself, one JSON document a line, one file a process; `read` reads them."""

    folder: Path
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """The folder alone."""
        return {"folder": self.folder}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Start anew."""
        self.__init__(state["folder"])  # type: ignore[misc]

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows, all of them or none."""
        lines = "".join(json.dumps(dict(row), ensure_ascii=True) + "\n" for row in rows).encode()
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.open(
                self.folder / f"{os.uname().nodename}-{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND
            )
            try:
                os.write(file, lines)
            finally:
                os.close(file)
