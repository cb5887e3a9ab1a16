"""The files of an export that do not depend on the trainer, but for a few words."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spurious import __version__
from spurious.engines.export.job import Job
from spurious.signals.userfile import is_reference
from spurious.specs import RewardSpec
from spurious.store.files import write_json, write_text

REWARD = "reward.py"
HERE = "$HERE"
"""The export's own folder, in a script."""


def write_reward(job: Job, out: Path, body: str) -> None:
    """The file that the trainer loads, and beside it the user's own files that it pays by.

    Args:
        job: the run.
        out: the export's folder.
        body: the trainer's part, which finds `REWARD`, `OPTIONS` and `HERE` defined.
    """
    spec = _with_files(job.spec.reward, out)
    options = {"seed": job.spec.seed, "extraction": job.spec.extraction, "one_by_one": job.one_by_one}
    head = (
        f'"""The reward of the run {job.fingerprint}, made by `spurious export`; needs spurious {__version__}."""\n\n'
        "from pathlib import Path\n\n"
        f"REWARD = {spec.model_dump(mode='json')!r}\n"
        "HERE = Path(__file__).resolve().parent\n"
        f"OPTIONS = {{**{options!r}, 'base': HERE}}\n\n"
    )
    write_text(out / REWARD, head + body)


def _with_files(spec: RewardSpec, out: Path) -> RewardSpec:
    """The reward with the user's files copied beside it."""
    inner = tuple(_with_files(part, out) for part in spec.of)
    if not is_reference(spec.name):
        return spec.model_copy(update={"of": inner})
    path, _, function = spec.name.rpartition(":")
    text = Path(path).read_text(encoding="utf-8")
    place, number = out / Path(path).name, 1
    while (place.exists() and place.read_text(encoding="utf-8") != text) or place.name == REWARD:
        number += 1
        place = out / f"{Path(path).stem}_{number}.py"
    write_text(place, text)
    return spec.model_copy(update={"name": f"{place.name}:{function}"})


def write_script(out: Path, comment: str, command: str, words: Sequence[str]) -> None:
    """A shell script that starts the trainer; `HERE` in a word is the folder that the script lies in."""
    lines = [f"  {_quoted(word)}" for word in words]
    text = "\n".join(
        [
            "#!/usr/bin/env bash",
            f"# {comment}",
            "set -euo pipefail",
            'HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"',
            " \\\n".join([command, *lines, '  "$@"']),
        ]
    )
    write_text(out / "train.sh", text + "\n")
    (out / "train.sh").chmod(0o755)


def _quoted(word: str) -> str:
    """A word for the shell, with the folder's variable left to it."""
    return f'"{HERE}"'.join(shlex.quote(part) if part else "" for part in word.split(HERE)) or "''"


def write_record(job: Job, out: Path, trainer: str, version: str, notes: Sequence[str]) -> None:
    """`export.json`, written last: what this stands for, and what the trainer does otherwise."""
    record: dict[str, Any] = {
        "trainer": trainer,
        "version": version,
        "spurious": __version__,
        "fingerprint": job.fingerprint,
        "spec": json.loads(job.spec.model_dump_json()),
        "operators": list(job.operators),
        "otherwise": list(notes),
        "rows": len(job.train),
    }
    write_json(out / "export.json", record)
