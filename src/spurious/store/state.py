"""How far a run is, told from outside: nothing is opened for writing and nobody's lock is taken away."""

import fcntl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from spurious.store.files import complete_lines
from spurious.store.written import read_manifest

State = Literal["owed", "running", "failed", "done"]
"""Not complete and nobody at work; being written now; ended by an error; complete."""


@dataclass(frozen=True, slots=True)
class RunState:
    """What a run directory says about itself."""

    state: State
    steps: int = 0
    """Steps that are stored; those after the last checkpoint are done again on resume."""
    seconds: float = 0.0
    """Wall time of all attempts; an attempt that was killed counts up to its last sign of life."""
    error: str = ""
    """What ended the last attempt, where an error did."""
    log: Path | None = None
    """What the last attempt wrote to its output, where that was kept."""


def find_run(store: Path, fingerprint: str) -> Path | None:
    """The directory of a run, whoever declared it; a complete one first. None where the store does not have it."""
    found = sorted(store.glob(f"*--{fingerprint}"))
    return next((path for path in found if (path / "DONE").exists()), found[0] if found else None)


def run_state(directory: Path) -> RunState:
    """The state of one run directory; a directory that is not there is a run that is owed.

    Raises:
        StoreError: its manifest is damaged.
    """
    if not (directory / "manifest.json").exists():
        return RunState("running" if is_locked(directory) else "owed")
    attempts = read_manifest(directory)["attempts"]
    logs = [directory / "logs" / f"attempt-{attempt['attempt']}.log" for attempt in attempts]
    metrics = directory / "metrics.jsonl"
    steps = len(complete_lines(metrics)) if metrics.exists() else 0
    failed = bool(attempts) and attempts[-1]["status"] == "failed"
    state: State = "failed" if failed else "owed"
    if (directory / "DONE").exists():
        state = "done"
    elif is_locked(directory):
        state = "running"
    return RunState(
        state=state,
        steps=steps,
        seconds=sum(map(_seconds, attempts, logs)),
        error=str(attempts[-1].get("error", "")) if state == "failed" else "",
        log=logs[-1] if logs and logs[-1].exists() else None,
    )


def is_locked(directory: Path) -> bool:
    """Whether a process is writing this run now."""
    try:
        with (directory / ".lock").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _seconds(attempt: dict[str, Any], log: Path) -> float:
    started = datetime.fromisoformat(attempt["started"]).timestamp()
    if "ended" in attempt:
        ended = datetime.fromisoformat(attempt["ended"]).timestamp()
    else:
        ended = log.stat().st_mtime if log.exists() else started
    return max(0.0, ended - started)  # a clock that was set back in between tells nothing
