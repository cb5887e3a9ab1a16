"""A store of 2,000 runs and five million completions: what `study status`, `report` and `analyze` take there.

    python benchmarks/large_store.py [--runs 2000] [--steps 8] [--write]

One run of each of five arms is trained (an organism's body with random weights); its tables, shuffled anew for every
seed, then stand for the runs of the other seeds. A command may take 4 GB. Exit status 1: one failed, or took more.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from growing_reports import ARMS, made
from record import Table, command_line, publish
from watched import watched

from spurious.organisms import untrained

LIMIT_GB = 4.0


def taken_by(name: str, *command: str | Path) -> dict[str, Any]:
    """One line."""
    seconds, memory = watched(command)
    return {"command": f"`{name}`", "seconds": seconds, "largest memory, GB": memory / 1e9}


def main() -> int:
    parser = command_line(__doc__, runs=2000, steps=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        started = time.perf_counter()
        whole = made(store, untrained(store / "model", "qwen2"), arguments.runs // len(ARMS), arguments.steps)
        print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        home = store / "studies" / whole.name
        rows = sum(
            pl.scan_parquet(path).select(pl.len()).collect().item()
            for part in ("rollouts", "evals")
            for path in store.glob(f"*/{part}/*.parquet")
        )
        taken = [
            taken_by("study status", "study", "status", home),
            taken_by("report", "report", home, "--out", store / "report.html"),
            taken_by("analyze", "analyze", store, "--json"),
        ]
    publish(
        "large_store",
        [Table(f"A store of {len(ARMS) * len(whole.seeds):,} runs and {rows:,} completions", taken)],
        arguments,
        notes=[f"Goal: at most {LIMIT_GB:g} GB."],
    )
    return 0 if all(one["largest memory, GB"] <= LIMIT_GB for one in taken) else 1


if __name__ == "__main__":
    sys.exit(main())
