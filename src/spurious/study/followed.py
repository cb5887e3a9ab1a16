"""What is known of one process at work, from the lines that it reports; which process it is, its child classes say."""

import json
import os
import time
from abc import ABC, abstractmethod
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


class Followed(ABC):
    """A process, its reports and its end."""

    def __init__(self, title: str, log: Path) -> None:
        """Follow a process that is about to start; `log` is where what it prints goes, until its run's own is open."""
        self.title, self.log = title, log
        self.stage, self.done, self.total, self.note = "starting", 0, 0, ""
        self.first: int | None = None
        """The step at which this process began: 0, or where an earlier one had stopped."""
        self._opened = self._ready = self._last = 0.0
        """Seconds from the start to: the run is open; its first evaluation is done; its last step is done."""
        self._end: dict[str, str] = {}
        self._unread = b""
        self._started = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        self.reports: Connection
        """Readable when there is news, and at the end."""
        self.reports, self._writer = Pipe(duplex=False)

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Ask it to stop; `close` waits for it."""

    @abstractmethod
    def close(self) -> None:
        """Wait for its end, and see to it."""

    @property
    @abstractmethod
    def death(self) -> str:
        """Why it ended without a word; once it has ended."""

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return time.monotonic() - self._started

    @property
    def expected(self) -> float | None:
        """Seconds from start to end at the pace so far; None before the first step of this process.

        The last evaluation is taken to last as long as the first one did.
        """
        if self.first is None or self.done <= self.first:
            return None
        pace = (self._last - self._ready) / (self.done - self.first)
        return self._ready + pace * (self.total - self.first) + (self._ready - self._opened)

    @property
    def share(self) -> float:
        """How much of its work is done, by time."""
        return min(1.0, self.seconds / self.expected) if self.expected else 0.0

    def left(self, cost: float | None) -> float | None:
        """Seconds to go: by its own pace, or by what runs like it cost; None where neither is known."""
        if self.expected is not None:
            return max(0.0, self.expected - self.seconds)
        return None if cost is None else max(0.0, cost - self.seconds)

    def read(self) -> bool:
        """Take in what it reports; False when it has ended."""
        data = os.read(self.reports.fileno(), 1 << 16)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return bool(data)

    @property
    def ending(self) -> str:
        """One of `child.Ending`, or `killed` where it could not say a word; once it has ended."""
        return self._end.get("end", "killed")

    @property
    def error(self) -> str:
        """What went wrong, in words; once it has ended."""
        if self._end:
            return self._end.get("error") or "interrupted"
        return self.death

    def _take(self, report: dict[str, Any]) -> None:
        if "end" in report:
            self._end = report
            return
        if "log" in report:
            self.log = Path(report["log"])
        self.stage = report["stage"]
        if self.stage.startswith("evaluate"):  # steps are what tells how far a run is
            self.note = f"{report['done']}/{report['total']}"
            if self.done == self.first:
                self._ready = self.seconds
            return
        self.done, self.total, self.note = report["done"], report["total"], report.get("note", "")
        self._last = self.seconds
        if self.first is None:
            self.first = self.done
            self._opened = self._ready = self.seconds
