"""Saying how far long work is: one callable, drawn on a terminal and silent elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spurious.terminal import visible

Progress = Callable[[str, int, int, str], None]
"""`progress(stage, done, total, note)`: called whenever a piece of a stage is finished."""


def quiet(stage: str, done: int, total: int, note: str = "") -> None:
    """Report nothing."""


@contextmanager
def on_terminal() -> Iterator[Progress]:
    """Bars on standard error with the time that is honestly left, at the pace so far; silent when it is no terminal."""
    if not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def draw(stage: str, done: int, total: int, note: str = "") -> None:
            stage, note = visible(stage), visible(note)
            if stage not in tasks:
                # What an earlier attempt did took no time in this one: the pace must not count it.
                tasks[stage] = bars.add_task(stage, total=total, completed=done, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield draw
