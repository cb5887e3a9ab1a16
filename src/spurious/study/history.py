"""When a study was declared: by its own record in the store, and by the commits of its file.

A prediction counts if it was there before the runs. The store keeps every declaration with the runs that were done by
then; a repository keeps every version of the file, and the runs know when they started.
"""

import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from spurious.study.record import DECLARED, declarations
from spurious.study.spec import StudySpec


def recorded(home: Path, study: StudySpec) -> list[dict[str, Any]]:
    """The declarations that the store has seen, oldest first: `at`, `done` and `same`, whether it is today's.

    An earlier one that says something else is there in full.
    """
    now = study.model_dump(mode="json", include=set(DECLARED))
    found = []
    for one in declarations(home):
        said = {name: one[name] for name in DECLARED}
        same = said == now
        found.append({"at": one["at"], "done": one["done"], "same": same, **({} if same else said)})
    return found


def committed(file: Path, profile: str | None, starts: Iterable[datetime]) -> list[dict[str, Any]]:
    """The commits that changed what the file declares, oldest first; empty outside a repository.

    Each has `commit`, `at` (when it was made), `runs_started` (how many of the study's runs had been started by then)
    and `same`, whether it declares what the file declares today.
    """
    now = _declared(file.read_text(encoding="utf-8"), profile)
    log = _git(file, "log", "--reverse", "--format=%H %cI", "--", file.name)
    began = list(starts)
    found: list[dict[str, Any]] = []
    last: Mapping[str, Any] | None = None
    for line in (log or "").splitlines():
        commit, at = line.split()
        text = _git(file, "show", f"{commit}:./{file.name}")
        said = _declared(text, profile) if text is not None else None
        if said is None or said == last:
            continue
        last = said
        before = sum(start < datetime.fromisoformat(at) for start in began)
        found.append({"commit": commit, "at": at, "runs_started": before, "same": said == now})
    return found


def _declared(text: str, profile: str | None) -> Mapping[str, Any] | None:
    """What is declared beforehand, as the text has it; None where it is no study."""
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(fields, Mapping):
        return None
    chosen = (fields.get("profiles") or {}).get(profile, {}) if profile else {}
    return {name: {**fields, **chosen}.get(name) for name in DECLARED}


def _git(file: Path, *arguments: str) -> str | None:
    """What git says in the file's folder; None where there is no git, no repository or no such thing in it."""
    try:
        result = subprocess.run(
            ["git", "-C", str(file.resolve().parent), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return result.stdout if result.returncode == 0 else None
