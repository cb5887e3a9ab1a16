"""What a run directory holds, read as it was written: a file that a disk has changed is refused by name."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spurious.errors import StoreError
from spurious.store.digests import NAME, Digests, Known
from spurious.store.files import complete_lines, complete_rows

METRICS, CHECKPOINT = "metrics.jsonl", "digests.json"


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a run directory, as it was written.

    Raises:
        StoreError: there is none, it cannot be read, or it is not what was written.
    """
    path = directory / "manifest.json"
    try:
        text = path.read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
    except FileNotFoundError as error:
        raise StoreError(f"{directory}: not a run directory (no manifest.json)") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: damaged ({error})") from error
    missing = [name for name in ("fingerprint", "spec", "inputs", "attempts") if name not in manifest]
    if missing:
        raise StoreError(f"{path}: damaged (no {missing[0]!r})")
    known_files(directory, manifest).check_text("manifest.json", text)
    return manifest


def known_files(directory: Path, manifest: Mapping[str, Any]) -> Known:
    """The digests of a run's files; a run from before they were kept has none, or not those of its older files.

    Raises:
        StoreError: they cannot be read, or are missing.
    """
    return Digests(directory).read(whole="digests" in manifest)


def read_lines(directory: Path, known: Known) -> list[tuple[int, str]]:
    """The metrics lines of a run with their steps, every one as it was written.

    Raises:
        StoreError: a line is damaged.
    """
    path = directory / METRICS
    if not path.exists():
        return []
    lines = []
    for row, line in zip(complete_rows(path), complete_lines(path), strict=True):
        if not isinstance(step := row.get("step"), int):
            raise StoreError(f"{path}: damaged, a line without its step: {line[:80]}")
        known.check_text(line_name(step), line)
        lines.append((step, line))
    return lines


def line_name(step: int) -> str:
    """What the digest of a metrics line is filed under."""
    return f"{METRICS}:{step}"


def step_of(file: str) -> int:
    """The step that a table belongs to, from its name; of a metrics line too."""
    found = re.search(r"\d+", file)
    if found is None:
        raise StoreError(f"{NAME}: damaged, a name without its step: {file}")
    return int(found[0])


def written_by(name: str, step: int) -> bool:
    """Whether what is filed under this name was there when a run had taken so many steps."""
    if name == "manifest.json":
        return True
    return step_of(name) < step + name.startswith("evals/")


def final_checkpoint(directory: Path) -> Path:
    """The checkpoint that a complete run ended with, its files as they were written.

    Raises:
        StoreError: this is no run directory, the run is not complete, took no step, or a file is damaged.
    """
    steps = read_manifest(directory)["spec"]["steps"]
    if not (directory / "DONE").exists():
        raise StoreError(f"{directory}: the run is not complete; the command that started it goes on with it")
    if not steps:
        raise StoreError(f"{directory}: a run of no steps has no checkpoint; its model is the one it started from")
    checkpoint = directory / "checkpoints" / f"{steps:06d}"
    check_checkpoint(checkpoint)
    return checkpoint


def written_down(model: Path) -> Known:
    """The digests of a model directory's files: an organism's, or a checkpoint's; elsewhere nothing is known.

    Raises:
        StoreError: they cannot be read.
    """
    return _of_checkpoint(model) if (model / CHECKPOINT).exists() else Digests(model).read()


def check_checkpoint(checkpoint: Path) -> None:
    """Refuse a checkpoint whose files are not as they were written.

    Raises:
        StoreError: a file is missing or damaged.
    """
    try:
        known = _of_checkpoint(checkpoint)
        for name in known.names():
            known.check(name)
    except StoreError as error:
        raise StoreError(f"{error}; remove {checkpoint} to go on from the one before") from error


def _of_checkpoint(checkpoint: Path) -> Known:
    path = checkpoint / CHECKPOINT
    try:
        return Known(checkpoint, {name: {said} for name, said in json.loads(path.read_text(encoding="utf-8")).items()})
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(f"{path}: damaged ({error})") from error
