"""One display for a whole grid: a bar over all runs with what is left, and a line for each that is under way."""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spurious.study.followed import Followed
from spurious.study.launch import Watch
from spurious.terminal import say, visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Messages(Watch):
    """Only what a person should know, on standard error: for logs and pipes."""

    def say(self, message: str) -> None:
        """Print it."""
        say(f"spurious: {message}", file=sys.stderr)


class Line(Watch):
    """One line that is said again and again, for a notebook: how many runs are done, and what is left."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        """`tell` puts the line in place of the last one."""
        self._tell = tell

    def show(self, done: int, total: int, running: Collection[Followed], remaining: float | None) -> None:
        """Say it."""
        left = "" if remaining is None else f", {duration(remaining)} left"
        self._tell(f"{done} of {total} runs{left}")


class Bars(Watch):
    """Bars on a terminal."""

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._whole = bars.add_task("study", total=None, note="")
        self._lines: dict[Followed, TaskID] = {}

    def say(self, message: str) -> None:
        """Print it above the bars."""
        self._bars.console.print(visible(f"spurious: {message}"), markup=False, highlight=False)

    def show(self, done: int, total: int, running: Collection[Followed], remaining: float | None) -> None:
        """Draw the whole and every running process; a run counts by the share of its time."""
        for gone in self._lines.keys() - set(running):
            self._bars.remove_task(self._lines.pop(gone))
        shares = sum(worker.share for worker in running)
        left = "" if not running else "time left not known yet" if remaining is None else f"{duration(remaining)} left"
        self._bars.update(self._whole, completed=done + shares, total=total, note=f"{done} of {total} runs  {left}")
        for worker in running:
            if worker not in self._lines:
                self._lines[worker] = self._bars.add_task("", total=None, note="")
            self._bars.update(
                self._lines[worker],
                completed=worker.done,
                total=worker.total or None,
                description=visible(f"  {worker.title}"),
                note=visible(f"{worker.stage}  {worker.note}"),
            )


@contextmanager
def watching() -> Iterator[Watch]:
    """Bars where standard error is a terminal, else only messages."""
    if not sys.stderr.isatty():
        yield Messages()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars)


def duration(seconds: float) -> str:
    """A time for people: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
