"""MATH-500, AMC, AIME and DeepScaleR: from a folder of local files, or from the hub by pinned revision.

The contest texts belong to their makers, so nothing is vendored. docs/data.md lists known errors of each set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.errors import DataError, SpecError
from spurious.tasks.base import Task
from spurious.tasks.files import SUFFIXES, Columns, fingerprint, problems_of, read_problems


@dataclass(frozen=True, slots=True)
class MathSet:
    """Where a set lives on the hub, and which local files may hold it instead."""

    hub: str
    revision: str
    """A full commit, so that the problems cannot change."""
    split: str
    files: tuple[Mapping[str, str], ...]
    """Alternatives, each file names without suffix to the kind of their problems; the first one that is all there."""


MATH_SETS: dict[str, MathSet] = {
    "math500": MathSet(
        "HuggingFaceH4/MATH-500",
        "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        "test",
        ({"math500": ""}, {"math": ""}),
    ),
    "amc": MathSet(
        "AI-MO/aimo-validation-amc",
        "69d78a4a2c840e82d69af6bc742bda09005f6316",
        "train",
        ({"amc": ""},),
    ),
    "aime24": MathSet(
        "HuggingFaceH4/aime_2024",
        "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        "train",
        ({"aime24": ""}, {"aime": ""}),
    ),
    "aime25": MathSet(
        "math-ai/aime25",
        "563bb8404243c5f09de6ec262f2db674fe5bce9b",
        "test",
        ({"aime25": ""}, {"aime2025": ""}),
    ),
    "deepscaler": MathSet(
        "agentica-org/DeepScaleR-Preview-Dataset",
        "b6ae8c60f5c1f2b594e2140b91c49c9ad0949e29",
        "train",
        ({"deepscaler": ""}, {f"deepscaler_level_{level}": f"level {level}" for level in range(1, 6)}),
    ),
}


def build(
    name: str,
    data_dir: Path | None,
    *,
    revision: str | None = None,
    question: str | None = None,
    answer: str | None = None,
    kind: str | None = None,
) -> Task:
    """A set of `MATH_SETS`, from `data_dir` or, where that is None, from the hub at its pinned (or another) revision.

    `question`, `answer` and `kind` name columns, where the usual names do not hold.
    """
    columns = Columns(question, answer, kind)
    if data_dir is None:
        return _from_hub(name, revision or MATH_SETS[name].revision, columns)
    if revision is not None:
        raise SpecError(f"task {name}: revision is of the hub's copy and means nothing for the files of {data_dir}")
    files = _find(name, data_dir)
    problems = [p for path, label in files.items() for p in read_problems(path, name, columns, label)]
    return Task(name, tuple(problems), source={"files": [fingerprint(path) for path in files]})


def _find(name: str, folder: Path) -> dict[Path, str]:
    """The files of the first alternative that is all there, each with the kind of its problems."""
    alternatives = MATH_SETS[name].files
    for stems in alternatives:
        present = {path: kind for stem, kind in stems.items() if (path := _with_suffix(folder, stem)) is not None}
        if len(present) == len(stems):
            return present
    wanted = "; or ".join(", ".join(stems) for stems in alternatives)
    raise DataError(f"task {name}: {folder} lacks its files: {wanted} (each {', '.join(SUFFIXES)})")


def _with_suffix(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def _from_hub(name: str, revision: str, columns: Columns) -> Task:
    """Load a split through `datasets`, which keeps a local cache; every failure to get it is a DataError."""
    try:
        import datasets
    except ImportError as error:
        raise SpecError(
            f"task {name}: the hub needs datasets: pip install 'spurious[hub]'; or give a folder of files (--data DIR)"
        ) from error
    wanted = MATH_SETS[name]
    try:
        rows: Any = datasets.load_dataset(wanted.hub, revision=revision, split=wanted.split)
    except (OSError, ValueError) as error:
        raise DataError(
            f"task {name}: {wanted.hub} at {revision} could not be had from the hub ({error}); "
            "a folder of files can be given instead (--data DIR)"
        ) from error
    problems = problems_of(enumerate(rows, start=1), wanted.hub, name, columns)
    return Task(name, tuple(problems), source={"hub": wanted.hub, "revision": revision, "split": wanted.split})
