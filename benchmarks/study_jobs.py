"""How a study uses the cores best: several single-threaded runs side by side, or one run on many threads.

    python benchmarks/study_jobs.py [--runs 4] [--steps 10]

Every line runs the same grid from nothing, processes and their start included: an organism's body with random weights
(which never stop early, so batches are a quarter of the demo's). Take a machine with nothing else to do.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from spurious.organisms import untrained
from spurious.study.launch import cores, run_study
from spurious.study.spec import StudySpec, resolve


def grid(model: Path, runs: int, steps: int) -> StudySpec:
    """So many seeds of one arm."""
    return resolve(
        {
            "name": "jobs",
            "question": "How many runs side by side?",
            "expectation": "As many as there are cores, each on one thread.",
            "base": {
                "task": "chain",
                "steps": steps,
                "grpo": {"prompts_per_rollout": 8},
                "sampling": {"max_tokens": 32},
            },
            "arms": {"random": {"role": "placebo", "reward": "random"}},
            "models": {"untrained": str(model)},
            "seeds": runs,
            "benches": [{"task": {"name": "chain", "limit": 50}, "max_tokens": 32}],
            "primary": "accuracy@final on chain",
        }
    )


def seconds(study: StudySpec, store: Path, jobs: int, threads: int) -> float:
    """Wall time of the whole grid."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    started = time.perf_counter()
    outcome = run_study(study, store, jobs=jobs)
    assert outcome.complete, outcome.failures
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    n = cores()
    ways = dict.fromkeys([(n, 1), (1, n), (1, 1), (n, n)])
    print(f"{arguments.runs} runs of {arguments.steps} steps on {n} cores; the first line is --jobs auto")
    print("jobs  threads  seconds  times auto")
    with tempfile.TemporaryDirectory() as folder:
        study = grid(untrained(Path(folder) / "model", "qwen2"), arguments.runs, arguments.steps)
        auto = 0.0
        for jobs, threads in ways:
            took = seconds(study, Path(folder) / f"{jobs}x{threads}", jobs, threads)
            auto = auto or took
            print(f"{jobs:4d}  {threads:7d}  {took:7.1f}  {took / auto:10.2f}", flush=True)


if __name__ == "__main__":
    main()
