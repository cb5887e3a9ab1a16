"""One process of this machine at work, seen from the process that started it."""

import os
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Protocol

from spurious.forks import ForkedProcess, Forks
from spurious.study import child
from spurious.study.followed import Followed
from spurious.study.remote import PATIENCE, ended


class _Child(ForkedProcess):
    """A process that has torch loaded, on one thread."""

    forks = Forks("spurious.study.preload")


class Worker(Followed):
    """A process of `spurious.study.child`, its reports and its end."""

    def __init__(self, title: str, request: dict[str, Any], log: Path) -> None:
        """Start it; what it prints goes to `log` until it opens its run's own."""
        super().__init__(title, log)
        theirs, self._lifeline = Pipe(duplex=False)
        self._process = _Child(target=child.main, args=(request, log, theirs, self._writer))
        self._process.start()
        theirs.close()
        self._writer.close()

    def ask_to_stop(self) -> None:
        """Ask it to stop; `close` waits for it."""
        self._process.terminate()

    def close(self) -> None:
        """Wait for its end, and see to it."""
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._lifeline.close()
        self.reports.close()

    @property
    def death(self) -> str:
        """Why it ended without a word; once it has ended."""
        return ended(self._process.exitcode or 0)


def cores() -> int:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.exists():
        allowed, period = quota.read_text(encoding="utf-8").split()
        if allowed != "max":
            usable = min(usable, max(1, round(int(allowed) / int(period))))
    return usable


class Place(Protocol):
    """Where the processes of a study run."""

    kills: int
    """How often a job whose process was killed from outside is started again."""

    @property
    def room(self) -> int:
        """How many processes side by side, unless somebody says otherwise."""
        ...

    def batch(self) -> AbstractContextManager[None]:
        """Around the starts that belong together."""
        ...

    def start(self, title: str, request: dict[str, Any], log: Path) -> Followed:
        """Start a process of `spurious.study.child`; what it prints goes to `log` until it opens its run's own."""
        ...


class Here:
    """This machine."""

    kills = 1

    @property
    def room(self) -> int:
        """One for each core."""
        return cores()

    def batch(self) -> AbstractContextManager[None]:
        """Nothing belongs together."""
        return nullcontext()

    def start(self, title: str, request: dict[str, Any], log: Path) -> Followed:
        """Fork one."""
        return Worker(title, request, log)
