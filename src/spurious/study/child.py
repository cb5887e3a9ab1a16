"""The process of one run, or of one thing that is made before runs, forked for `spurious.study.worker`.

One pipe stays open for as long as the parent lives: its end means that the parent is gone, however it died, and so this
process ends at once too. Reports go into another, one JSON document a line; what anything prints goes to a log.
"""

import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Literal

from spurious.errors import InputError, LockedError, SpecError, SpuriousError, disk_full, told_to_stop
from spurious.store.environment import environment
from spurious.store.shared import alone
from spurious.verify import pool

Ending = Literal["done", "locked", "full", "input", "failed", "interrupted"]
"""How a process says it ended: its work is done; another process holds the run; the disk is full; an input is wrong;
anything else; it was told to stop."""

Report = Callable[[dict[str, Any]], None]

_CHANGED = "a file that is read has changed since. Start the study again"


def main(request: dict[str, Any], log: Path, parent: Connection, reports: Connection) -> None:
    """Do what is asked; the exit status is that of the command line.

    Args:
        request: what to do, and all it takes.
        log: where to write until the run's own log is open.
        parent: ends when the parent does.
        reports: where reports go.
    """
    os.setsid()  # Ctrl-C is for the parent, who stops us
    with log.open("ab") as first:
        os.dup2(first.fileno(), 1)
        os.dup2(first.fileno(), 2)
    faulthandler.enable(2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=die_with_parent, args=[parent], daemon=True).start()
    with os.fdopen(reports.fileno(), "w", encoding="utf-8", closefd=False) as stream:
        status = _do(request, _reports(stream))
    pool.close()
    sys.exit(status)


def _do(request: dict[str, Any], report: Report) -> int:
    first_log = os.fstat(2)
    try:
        _TASKS[request["do"]](request, report)
    except BaseException as error:
        ending = _ending(error)
        report({"end": ending, "error": _sentence(error)})
        if os.path.samestat(first_log, os.fstat(2)):  # else the run has written it to its own log
            with suppress(OSError):
                traceback.print_exc()
        return {"interrupted": 130, "input": 2}.get(ending, 1)
    report({"end": "done"})
    return 0


def _run(request: dict[str, Any], report: Report) -> None:
    from spurious.specs import RunSpec
    from spurious.store import Run
    from spurious.training import train

    def opened(run: Run) -> None:
        if run.manifest["fingerprint"] != request["fingerprint"]:
            raise SpecError(
                f"this run is no longer the one that was planned ({run.manifest['fingerprint']}, not "
                f"{request['fingerprint']}): {_CHANGED}"
            )
        with run.log.open("a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        report({"log": str(run.log), "stage": "train", "done": run.start_step, "total": run.manifest["spec"]["steps"]})

    train(
        RunSpec.model_validate(request["spec"]),
        Path(request["directory"]) if request["directory"] else None,
        store=Path(request["store"]),
        data_dir=_data(request),
        progress=_progress(report),
        opened=opened,
    )


def _organism(request: dict[str, Any], report: Report) -> None:
    from spurious.organisms import Recipe, build

    build(Recipe.model_validate(request["recipe"]), Path(request["directory"]), progress=_progress(report))


def _votes(request: dict[str, Any], report: Report) -> None:
    from spurious.evaluate import open_bench
    from spurious.policy import TorchSampler, load, prepare_process
    from spurious.store.files import write_json
    from spurious.store.fingerprint import model_digest
    from spurious.study.made import Ballot
    from spurious.tasks import load_task
    from spurious.voting import vote

    ballot, model = Ballot.model_validate(request["ballot"]), model_digest(request["model"], request["revision"])
    table, record = Path(request["table"]), Path(request["record"])
    task = load_task(ballot.bench.task, data_dir=_data(request))
    if (now := ballot.digest(task.digest, model)) != table.stem:
        raise SpecError(f"these votes are no longer those that were planned ({now}, not {table.stem}): {_CHANGED}")
    sampled = 0

    def progress(_: str, done: int, total: int, note: str) -> None:
        nonlocal sampled
        sampled += 1
        report({"stage": "votes", "done": done, "total": total, "note": note})

    with alone(table):
        if table.exists() and record.exists():
            return
        started = time.monotonic()
        process = prepare_process()
        policy = load(request["model"], revision=request["revision"], dtype=ballot.dtype)
        bench, sampler = open_bench(ballot.bench, task, policy), TorchSampler(policy, max_rows=ballot.rows)
        labels = vote(sampler, bench, table, model=model, extraction=ballot.extraction, progress=progress)
        facts = {
            "model": {"source": request["model"], "revision": request["revision"], "digest": model},
            "problems": task.digest,
            "ballot": request["ballot"],
            "labels": asdict(labels),
            "kind": ballot.digest(task.digest),
            "seconds": time.monotonic() - started,
            "whole": sampled == len(task.problems),
            "environment": {**environment(), **process},
        }
        write_json(record, facts)


def _data(request: dict[str, Any]) -> Path | None:
    return Path(request["data"]) if request["data"] else None


_TASKS: dict[str, Callable[[dict[str, Any], Report], None]] = {"run": _run, "organism": _organism, "votes": _votes}


def _progress(report: Report) -> Callable[[str, int, int, str], None]:
    return lambda stage, done, total, note: report({"stage": stage, "done": done, "total": total, "note": note})


def _reports(stream: IO[str]) -> Report:
    def report(row: dict[str, Any]) -> None:
        stream.write(json.dumps(row) + "\n")
        stream.flush()

    return report


def die_with_parent(parent: Connection) -> None:
    """Wait for the parent's end, and end."""
    while os.read(parent.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _ending(error: BaseException) -> Ending:
    if told_to_stop(error):
        return "interrupted"
    if isinstance(error, LockedError):
        return "locked"
    if disk_full(error):
        return "full"
    return "input" if isinstance(error, InputError) else "failed"


def _sentence(error: BaseException) -> str:
    """What went wrong in one message; what nobody foresaw keeps its name."""
    return str(error) if isinstance(error, SpuriousError) else "".join(traceback.format_exception_only(error)).strip()
