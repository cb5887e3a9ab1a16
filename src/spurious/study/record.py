"""A study's folder in the store: what was declared, which runs it needs, and what became of those that failed.

studies/<name>/study.yaml            the study as it was run, profile applied
studies/<name>/cells.json            arm, model and seed of every cell with the fingerprint of its run
studies/<name>/declared.jsonl        every version of what was declared, with the runs that were done by then
studies/<name>/digests.txt           SHA-256 of the files above, from before they appeared
studies/<name>/logs/<fingerprint>.log          what a run's process said before its run directory was open
studies/<name>/logs/<fingerprint>.failed.json  how it ended, where the run directory cannot tell
"""

import fcntl
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from spurious.errors import StoreError
from spurious.store.digests import Digests
from spurious.store.files import complete_rows, remove, write_json
from spurious.store.state import State
from spurious.study.cells import Cell
from spurious.study.spec import StudySpec, load_spec

STUDY, CELLS, DECLARATIONS = "study.yaml", "cells.json", "declared.jsonl"

DECLARED = ("question", "expectation", "primary", "compare", "margin")
"""What is said before looking; a later change is kept beside the first version."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run's process ended."""

    error: str
    log: str


def folder(store: Path, study: str) -> Path:
    """Where a study is kept."""
    return store / "studies" / study


def write_study(store: Path, study: StudySpec, cells: Sequence[Cell], done: int) -> None:
    """Record the study as it stands now; `done` runs are complete."""
    where = folder(store, study.name)
    fields = study.model_dump(mode="json", exclude={"profiles"})
    where.mkdir(parents=True, exist_ok=True)
    with (where / ".lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = Digests(where)
        kept.write(STUDY, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120))
        rows = [_cell_row(cell, store) for cell in cells]
        kept.write(CELLS, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        _declare(where, {name: fields[name] for name in DECLARED}, done)


def read_study(where: Path) -> tuple[StudySpec, list[Cell]]:
    """A study's folder read back; runs are looked for in the store that the folder lies in.

    Raises:
        StoreError: the folder is not a study's, or is damaged.
    """
    if not (where / CELLS).exists():
        raise StoreError(f"{where}: not the folder of a study (no {CELLS})")
    kept = Digests(where)
    kept.text(STUDY)
    try:
        rows = json.loads(kept.text(CELLS))
    except ValueError as error:
        raise StoreError(f"{where / CELLS}: damaged ({error})") from error
    store = where.resolve().parent.parent
    return load_spec(where / STUDY), [_read_cell(row, store) for row in rows]


def declarations(where: Path) -> list[dict[str, Any]]:
    """Every version of what the study declared, oldest first, with `at` (UTC) and `done` (runs complete by then)."""
    path = where / DECLARATIONS
    if not path.exists():
        return []
    Digests(where).text(DECLARATIONS)
    return complete_rows(path)


def log_path(store: Path, study: str, key: str) -> Path:
    """Where a process writes until the run directory is open; `key` is a fingerprint or names what is made first."""
    return folder(store, study) / "logs" / f"{key}.log"


def write_failure(store: Path, study: str, key: str, failure: Failure) -> None:
    """Remember how a run's process ended."""
    write_json(_failure_path(store, study, key), {"error": failure.error, "log": failure.log})


def clear_failure(store: Path, study: str, key: str) -> None:
    """Forget it: the run is tried again."""
    remove(_failure_path(store, study, key))


def read_failure(store: Path, study: str, key: str) -> Failure | None:
    """How the last process of a run ended, where it failed."""
    path = _failure_path(store, study, key)
    return Failure(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _failure_path(store: Path, study: str, key: str) -> Path:
    return folder(store, study) / "logs" / f"{key}.failed.json"


def _cell_row(cell: Cell, store: Path) -> dict[str, Any]:
    directory = cell.directory.relative_to(store).as_posix() if cell.directory else None
    return {
        "arm": cell.arm,
        "role": cell.role,
        "model": cell.model,
        "seed": cell.seed,
        "fingerprint": cell.fingerprint,
        "directory": directory,
        "first": list(cell.first),
        "error": cell.error if cell.fingerprint is None else "",
    }


def _read_cell(row: dict[str, Any], store: Path) -> Cell:
    directory = store / row["directory"] if row["directory"] else None
    state: State = "failed" if row.get("error") else "owed"
    return Cell(**{**row, "directory": directory, "first": tuple(row.get("first", ())), "state": state})


def _declare(where: Path, declared: dict[str, Any], done: int) -> None:
    """Add a version where it differs from the last one."""
    before = declarations(where)
    if before and {name: before[-1][name] for name in declared} == declared:
        return
    row = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "done": done, **declared}
    lines = [json.dumps(one, ensure_ascii=False) for one in [*before, row]]
    Digests(where).write(DECLARATIONS, "".join(f"{line}\n" for line in lines))
