"""Runs shown in a tracker: TensorBoard, Weights & Biases (offline) or trackio. The run directory stays the record.

A mirror is made from `metrics.jsonl` and the stored evaluations, at any time and by anyone; nothing reads it back.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spurious.errors import SpecError
from spurious.scores import summarize
from spurious.store import load
from spurious.store.files import remove
from spurious.store.load import metrics_rows
from spurious.store.written import read_manifest

Log = Callable[[int, Mapping[str, float]], None]
"""Takes a step and its numbers."""


def mirror(path: Path, tracker: str, out: Path, project: str = "spurious") -> list[str]:
    """Show every run at or below a path in a tracker.

    Args:
        path: a run directory, or a store.
        tracker: one of `TRACKERS`.
        out: where the tracker's files go.
        project: what the tracker groups the runs under.

    Returns:
        The names of the runs.

    Raises:
        SpecError: an unknown tracker, or one that is not installed.
        StoreError: there is no run.
    """
    if tracker not in TRACKERS:
        raise SpecError(f"--to {tracker}: there are {', '.join(TRACKERS)}")
    names = []
    for directory in load(path).directories:
        manifest = read_manifest(directory)
        try:
            with TRACKERS[tracker](out, project, directory.name, manifest["spec"]) as log:
                for step, numbers in numbers_by_step(directory):
                    log(step, numbers)
        except ImportError as error:
            extra = "trackio" if tracker == "trackio" else "track"
            raise SpecError(f"--to {tracker}: not installed ({error}); pip install 'spurious[{extra}]'") from error
        names.append(directory.name)
    return names


def numbers_by_step(directory: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Every step of a run with its finite numbers: metrics by their own name, evaluations as `eval/<bench>/<score>`."""
    found: dict[int, dict[str, float]] = {}
    for row in metrics_rows(directory):
        found.setdefault(row["step"], {}).update(_finite(row))
    evals = load(directory).evals
    for (step, bench), rows in evals.group_by("step", "bench") if evals.height else ():
        scores = {f"eval/{bench}/{name}": value for name, value in summarize(rows).items()}
        found.setdefault(int(str(step)), {}).update(_finite(scores))
    yield from sorted(found.items())


def _finite(row: Mapping[str, Any]) -> dict[str, float]:
    plain = {name: value for name, value in row.items() if name != "step" and type(value) in (int, float)}
    return {name: float(value) for name, value in plain.items() if math.isfinite(value)}


@contextmanager
def _tensorboard(out: Path, project: str, name: str, spec: Mapping[str, Any]) -> Iterator[Log]:
    """Event files in `<out>/<project>/<run>`, which are written anew."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = out / project / name
    remove(folder)
    writer = EventFileWriter(str(folder))

    def log(step: int, numbers: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=tag, simple_value=number) for tag, number in numbers.items()]
        writer.add_event(Event(step=step, summary=Summary(value=values)))

    try:
        yield log
    finally:
        writer.close()


@contextmanager
def _wandb(out: Path, project: str, name: str, spec: Mapping[str, Any]) -> Iterator[Log]:
    """An offline run below `out`; `wandb sync` uploads it, if anybody wants to."""
    import wandb

    out.mkdir(parents=True, exist_ok=True)
    run = wandb.init(project=project, name=name, config=dict(spec), dir=str(out), mode="offline")
    try:
        yield lambda step, numbers: run.log(dict(numbers), step=step)
    finally:
        run.finish()
        wandb.teardown()  # only then is the file whole


@contextmanager
def _trackio(out: Path, project: str, name: str, spec: Mapping[str, Any]) -> Iterator[Log]:
    """A run of a local project; `out` is where trackio keeps its database (`TRACKIO_DIR`)."""
    import os

    os.environ["TRACKIO_DIR"] = str(out.resolve())
    import trackio

    trackio.init(project=project, name=name, config=dict(spec), embed=False)
    try:
        yield lambda step, numbers: trackio.log(dict(numbers), step=step)
    finally:
        trackio.finish()


TRACKERS = {"tensorboard": _tensorboard, "wandb": _wandb, "trackio": _trackio}
"""By name; each gives a function that logs one step."""
