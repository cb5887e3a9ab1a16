"""What changes a result, and by how much: one run again and again, each time with one thing about it different.

    python benchmarks/determinism.py MODEL [--steps 8] [--write]

MODEL is a model directory, such as the organism good-code. The run is ground truth on the chain task with the sizes of
this package's studies. Every variant is trained in a process of its own, and compared with the first: completions of
the first and of the last step, distance of the final weights as a share of how far training moved them, accuracy at the
end. Prints one JSON document, and with --write keeps it in docs/determinism.json and shows it in docs/guarantees.md.
Exit status 1: a variant that is promised to come to the same bytes did not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors.torch import load_file

from spurious.report.marked import filled, table
from spurious.specs import RunSpec
from spurious.store.environment import environment

DOCS = Path(__file__).resolve().parents[1] / "docs"
RECORD, PAGE = DOCS / "determinism.json", DOCS / "guarantees.md"
STANDING = {"OMP_NUM_THREADS": "1", "MKL_CBWR": "AVX2"}


@dataclass(frozen=True)
class Variant:
    """One difference, and whether the bytes are promised to stay."""

    name: str
    same_bytes: bool
    surroundings: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    company: bool = False
    """Another run at work beside it."""


VARIANTS = (
    Variant("as it stands", True),
    Variant("again", True),
    Variant("another run beside it", True, company=True),
    Variant("completions drawn 64 at once", True, changes={"sampling_rows": 64}),
    Variant("two threads", False, {"OMP_NUM_THREADS": "2"}),
    Variant("passes of 4096 tokens", False, changes={"token_budget": 4096}),
    Variant("passes of 1024 tokens", False, changes={"token_budget": 1024}),
    Variant(
        "another processor (no vector instructions)",
        False,
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    ),
)


def spec(model: Path, steps: int, changes: Mapping[str, Any]) -> RunSpec:
    """The run, with what a variant changes."""
    return RunSpec.model_validate(
        {
            "model": str(model),
            "task": "chain",
            "reward": "ground_truth",
            "sampling": {"max_tokens": 64},
            "benches": [{"task": "chain", "max_tokens": 64}],
            "steps": steps,
            **changes,
        }
    )


def start(variant: Variant, model: Path, steps: int, directory: Path) -> "subprocess.Popen[bytes]":
    """Train it in a new process."""
    text = spec(model, steps, variant.changes).model_dump_json()
    program = (
        "import sys; from pathlib import Path; from spurious.specs import RunSpec;"
        "from spurious.training import train;"
        "train(RunSpec.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
    )
    surroundings = {**os.environ, **STANDING, **variant.surroundings}
    return subprocess.Popen([sys.executable, "-c", program, text, str(directory)], env=surroundings)


def trained(variant: Variant, model: Path, steps: int, directory: Path) -> Path:
    """The directory of a finished run."""
    runs = [start(variant, model, steps, directory)]
    if variant.company:
        runs.append(start(variant, model, steps, directory.with_name(f"{directory.name}-company")))
    codes = [run.wait() for run in runs]
    if any(codes):
        raise RuntimeError(f"{variant.name}: a run failed")
    return directory


def weights(path: Path) -> torch.Tensor:
    """All of them, in one row."""
    tensors = load_file(path / "model.safetensors")
    return torch.cat([tensors[name].flatten().double() for name in sorted(tensors)])


def checkpoint(run: Path) -> Path:
    """The last one."""
    return max((run / "checkpoints").iterdir())


def results(run: Path) -> dict[str, str]:
    """Digests of what a run computed."""
    files = [path for part in ("rollouts", "evals", "checkpoints") for path in sorted((run / part).rglob("*"))]
    return {str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}


def texts(run: Path, step: int) -> list[str]:
    """Completions of a step."""
    return pl.read_parquet(run / "rollouts" / f"{step:06d}.parquet")["text"].to_list()


def accuracy(run: Path, steps: int) -> float:
    """Percent, at the end."""
    grades = pl.read_parquet(run / "evals" / f"{steps:06d}-chain.parquet")["grade"].to_list()
    return 100 * grades.count("correct") / len(grades)


def compared(run: Path, standing: Path, model: Path, steps: int) -> dict[str, Any]:
    """One run against the first."""
    before, ours, theirs = weights(model), weights(checkpoint(run)), weights(checkpoint(standing))

    def same(step: int) -> float:
        one, other = texts(run, step), texts(standing, step)
        return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)

    return {
        "same_bytes": results(run) == results(standing),
        "same_completions_of_the_first_step": same(0),
        "same_completions_of_the_last_step": same(steps - 1),
        "distance_of_weights": float((ours - theirs).norm() / (theirs - before).norm()),
        "accuracy": accuracy(run, steps),
    }


def rows(record: dict[str, Any]) -> str:
    """The table of docs/guarantees.md."""
    heads = (
        "what differs",
        "promised",
        "came to the same bytes",
        "same completions, first step",
        "last step",
        "distance of weights",
        "accuracy",
    )
    lines = [
        [
            name,
            "same bytes" if found["promised"] else "nothing",
            "yes" if found["same_bytes"] else "no",
            f"{found['same_completions_of_the_first_step']:.1%}",
            f"{found['same_completions_of_the_last_step']:.1%}",
            f"{found['distance_of_weights']:.2g}",
            f"{found['accuracy']:.1f}",
        ]
        for name, found in record["variants"].items()
    ]
    versions = ", ".join(f"{name} {record['versions'][name]}" for name in ("torch", "transformers"))
    facts = f"{record['date']}: {record['model']}, {record['steps']} steps, {record['processor']}, {versions}."
    return f"{facts}\n\n{table(heads, lines)}"


def page(record: dict[str, Any]) -> str:
    """The text of docs/guarantees.md with the table of a record."""
    return filled(PAGE, "measured", lambda _: rows(record))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = [trained(one, asked.model, asked.steps, Path(folder) / str(i)) for i, one in enumerate(VARIANTS)]
        for variant, run in zip(VARIANTS, runs, strict=True):
            promise = {"promised": variant.same_bytes}
            found[variant.name] = {**promise, **compared(run, runs[0], asked.model, asked.steps)}
    place = environment()
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "model": asked.model.name,
        "steps": asked.steps,
        "processor": place["processor"],
        "versions": place["versions"],
        "variants": found,
    }
    print(json.dumps(document, indent=2))
    if asked.write:
        RECORD.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page(document), encoding="utf-8")
    return 0 if all(one["same_bytes"] for one in found.values() if one["promised"]) else 1


if __name__ == "__main__":
    sys.exit(main())
