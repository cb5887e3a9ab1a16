"""Kill a process at an instant, look at what it left, let it go on, and compare with what nobody disturbed.

Every piece of work is done by processes forked from one that has torch loaded and has used nothing yet, so that an
instant costs a second. An instant is a place in the order of what the work does to files (a file opened for writing, a
rename, a removal, a new folder: Python's audit events), at which the process kills itself, or a moment of the clock.
"""

import json
import mmap
import os
import pickle
import random
import re
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from works import WORKS, Work

from spurious.errors import InputError

EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR
TORN = ("metrics.jsonl", "chain.journal.jsonl", "votes.parquet.journal.jsonl")
"""Files that grow by a line and are not synced at each: of their last line, a machine that dies may keep a part."""


@dataclass
class Tally:
    """What became of the instants of one piece of work."""

    instants: int = 0
    killed: int = 0
    """Those at which the process was still at work."""
    recoveries: int = 0
    """Times that the work was done again to its end; one may have several instants behind it."""
    survived: int = 0
    """Recoveries that finished the work, or refused it by name."""
    bytes_equal: int = 0
    refused: int = 0
    rows_lost: int = 0
    wrong_results: int = 0
    said: list[str] = field(default_factory=list)
    """What went wrong, and at which instant."""


def forked(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own; what it raises is raised here.

    What it had to import is imported here too, so that the next process finds it.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        before = set(sys.modules)
        try:
            answer = True, function(*arguments)
        except BaseException as error:
            answer = False, error
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump((*answer, [name for name in sys.modules if name not in before]), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    done, value, imported = pickle.loads(told)
    for name in imported:
        with suppress(Exception):
            import_module(name)
    if not done:
        raise value
    return value


class Instants:
    """Counts what happens to files below a folder, over all processes that are forked from here on."""

    def __init__(self, folder: Path, kill_at: int | None = None) -> None:
        """With `kill_at`, the process in which the event of this number (from 0) is about to happen dies."""
        self._below, self._kill_at = str(folder), kill_at
        self._count = mmap.mmap(-1, 8)
        self._list = os.memfd_create("events")

    def install(self) -> None:
        """Listen, for the rest of this process's life."""
        sys.addaudithook(self._hear)

    @property
    def names(self) -> list[str]:
        """What happened, in order, with numbers left out of the names."""
        size = os.lseek(self._list, 0, os.SEEK_END)
        return os.pread(self._list, size, 0).decode().splitlines()

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, flags = arguments[0], arguments[2]
            if not isinstance(flags, int) or not flags & WRITING:
                return
        elif event in EVENTS:
            path = arguments[1] if event == "os.rename" else arguments[0]
        else:
            return
        if not isinstance(path, str | os.PathLike) or not str(path).startswith(self._below):
            return
        (number,) = struct.unpack("q", self._count[:8])
        if number == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count[:8] = struct.pack("q", number + 1)
        name = re.sub(r"[0-9a-f]{8,}|\d+", "#", str(path)[len(self._below) :])
        os.write(self._list, f"{event} {name}\n".encode())


class Campaign:
    """Instants of one piece of work in a folder."""

    def __init__(self, work: Work, folder: Path, seed: int = 0) -> None:
        """Make what the work needs, and do it once undisturbed."""
        self.work, self.folder, self.tally = work, folder, Tally()
        self._random = random.Random(f"{work.name} {seed}")
        self._input, self._place, self._undisturbed = folder / "input", folder / "place", folder / "undisturbed"
        self._input.mkdir(parents=True)
        forked(self._prepare)
        instants, started = Instants(self._place), time.monotonic()
        self._fresh()
        forked(self._listening, instants)
        self.seconds = time.monotonic() - started
        self.events = instants.names
        self._place.rename(self._undisturbed)
        self._fresh()
        forked(self._do)  # the same place as after a kill: a page says where it lies
        self.expected = forked(work.results, self._place)
        assert self.expected == forked(work.results, self._undisturbed) or work.name == "report"

    def boundaries(self) -> list[int]:
        """Before each kind of thing first appears under its name, and before the very last change."""
        first = {name: number for number, name in reversed(list(enumerate(self.events)))}
        appearing = {number for name, number in first.items() if name.startswith("os.rename")}
        return sorted({*appearing, len(self.events) - 1})

    def at_event(self, number: int) -> None:
        """Die where this event is about to happen."""
        self._fresh()
        instants = Instants(self._place, number)
        self._die(f"event {number}, {self.events[number]}", instants, None)
        self._go_on(f"event {number}, {self.events[number]}")

    def at_random(self) -> None:
        """Die somewhere, often again on the way on from there, and perhaps with half a line written."""
        self._fresh()
        where = []
        while not where or (len(where) < 3 and self._random.random() < 0.4):
            if self._random.random() < 0.5:
                number = self._random.randrange(len(self.events))
                where.append(f"event {number}")
                self._die(where[-1], Instants(self._place, number), None)
            else:
                after = self._random.uniform(0, self.seconds)
                where.append(f"{after:.3f} s")
                self._die(where[-1], None, after)
            if self._random.random() < 0.3:
                where.append(self._tear())
        self._go_on(", ".join(where))

    def _fresh(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)

    def _prepare(self) -> None:
        _quiet(self.folder / "output.txt")
        self.work.prepare(self._input)

    def _do(self) -> None:
        _quiet(self.folder / "output.txt")
        self.work.do(self._input, self._place)

    def _listening(self, instants: Instants) -> None:
        instants.install()
        self._do()

    def _die(self, where: str, instants: Instants | None, after: float | None) -> None:
        """Start the work in a process that dies, and look at what it leaves."""
        self.tally.instants += 1
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            with suppress(BaseException):
                self._listening(instants) if instants is not None else self._do()
            os._exit(0)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self.tally.killed += os.WIFSIGNALED(status)
        try:
            found = forked(self.work.look, self._place)
        except InputError as error:
            if not str(error):
                self._wrong(where, "refused without a word")
            return
        for name, value in found.items():
            if not self.work.agrees(name, value, self.expected):
                self._wrong(where, f"{name} can be read and is not what it would have been")

    def _go_on(self, where: str) -> None:
        """Do the work again, to its end, and compare."""
        self.tally.recoveries += 1
        try:
            forked(self._do)
        except InputError as error:
            self.tally.refused += 1
            self.tally.survived += 1
            self.tally.said.append(f"{where}: refused: {error}")
            return
        except BaseException as error:
            self.tally.said.append(f"{where}: {type(error).__name__}: {error}")
            return
        self.tally.survived += 1
        found = forked(self.work.results, self._place)
        lost = self.expected.keys() - found.keys()
        self.tally.rows_lost += len(lost)
        differing = [name for name in found if found[name] != self.expected.get(name)]
        if lost or differing:
            self._wrong(where, f"lost {sorted(lost)[:3]}, other {sorted(differing)[:3]}")
        else:
            self.tally.bytes_equal += 1

    def _wrong(self, where: str, what: str) -> None:
        self.tally.wrong_results += 1
        self.tally.said.append(f"{where}: {what}")

    def _tear(self) -> str:
        """Cut the last line of a file that is not synced at every line, as a machine does that dies with it."""
        there = [path for path in sorted(self._place.rglob("*")) if path.name in TORN and _unsynced(path)]
        if not there:
            return "nothing to tear"
        path = self._random.choice(there)
        data = path.read_bytes()
        begin = data.rstrip(b"\n").rfind(b"\n") + 1
        cut = self._random.randrange(begin, len(data))
        os.truncate(path, cut)
        return f"{path.name} cut at {cut} of {len(data)}"


def _unsynced(path: Path) -> bool:
    """Whether the last line may not have reached the disk: metrics are synced before each checkpoint and at the end."""
    lines = path.read_bytes().count(b"\n")
    if path.name == "metrics.jsonl":
        saved = max((int(one.name) for one in (path.parent / "checkpoints").glob("[0-9]*")), default=0)
        return lines > saved and not (path.parent / "DONE").exists()
    return lines > 0 and not path.with_name(path.name.removesuffix(".journal.jsonl") + ".parquet").exists()


def _quiet(output: Path) -> None:
    """What the work prints is kept beside it, for whoever looks into a failure."""
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


def document(tallies: dict[str, Tally], **more: Any) -> str:
    """The outcome of a campaign as one JSON document."""
    total = {
        name: sum(getattr(one, name) for one in tallies.values())
        for name in Tally.__dataclass_fields__
        if name != "said"
    }
    return json.dumps({**more, **total, "by_work": {name: vars(one) for name, one in tallies.items()}}, indent=2)


__all__ = ["WORKS", "Campaign", "Tally", "document"]
