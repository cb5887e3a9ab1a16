"""All benchmarks of docs/performance.md one after the other, or some by name; each writes its record and its tables.

    python benchmarks/run_all.py [NAME...] [--model runs/organisms/good-code]

Sizes are such that all take about half an hour on two cores with nothing else to do. What cannot be measured here (no
TRL, no folder of cases, no GPU) says so and leaves its record as it is.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from spurious.organisms import build

BENCHMARKS = {
    "grpo_vs_trl": ("--pairs", "5", "--batches", "2"),
    "where_seconds_go": (),
    "memory": (),
    "study": ("--runs", "24", "--steps", "2", "--pairs", "5"),
    "sampling_vs_generate": ("--pairs", "5"),
    "verify_vs_math_verify": (),
    "growth": ("--reports", "25", "50", "200", "--report_steps", "6"),
    "gpu": (),
    "seeds_at_once": (),
    "memory_on_gpu": (),
    "large_store": (),
}
"""In the order in which they run, with what sizes them."""
ON_AN_ORGANISM = ("grpo_vs_trl", "where_seconds_go", "sampling_vs_generate", "study")
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of benchmarks; all by default")
    parser.add_argument(
        "--model", type=Path, default=Path("runs/organisms/good-code"), help="an organism; built if absent"
    )
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(BENCHMARKS)):
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    names = [name for name in BENCHMARKS if name in arguments.names or not arguments.names]
    if set(names) & set(ON_AN_ORGANISM) and not arguments.model.is_dir():
        build("good-code", arguments.model)
    failed = []
    for name in names:
        command = [sys.executable, str(HERE / f"{name}.py"), *BENCHMARKS[name], "--write"]
        if name in ON_AN_ORGANISM:
            command.insert(2, str(arguments.model))
        started = time.perf_counter()
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
