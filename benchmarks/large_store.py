"""A store of 2,000 runs and five million completions: what `study status`, `report` and `analyze` take there.

    python benchmarks/large_store.py [--runs 2000] [--steps 20] [--write]

One run of each of five arms is trained (an organism's body with random weights); its tables, shuffled anew for every
seed, then stand for the runs of the other seeds. A command may take 4 GB. Exit status 1: one failed, or took more.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from growing_reports import ARMS, made
from record import Table, command_line, publish

from spurious.organisms import untrained

LIMIT_GB = 4.0


def watched(name: str, command: Sequence[str | Path]) -> dict[str, Any]:
    """Run a command of ours: its seconds and its largest memory."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen([sys.executable, "-m", "spurious", *command], stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - started
        said.seek(0)
        if os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"{name}: {said.read().decode()}")
    return {"command": f"`{name}`", "seconds": seconds, "largest memory, GB": used.ru_maxrss / 1e6}


def main() -> int:
    parser = command_line(__doc__, runs=2000, steps=20)
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
            watched("study status", ["study", "status", home]),
            watched("report", ["report", home, "--out", store / "report.html"]),
            watched("analyze", ["analyze", store, "--json"]),
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
