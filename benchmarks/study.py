"""How a study uses the cores best: several single-threaded runs side by side, or one run at a time on all threads.

    python benchmarks/study.py [MODEL] [--runs 24] [--steps 4] [--pairs 2] [--write]

MODEL is the directory of an organism; by default good-code, which is built first. Both ways are the command `spurious
study run` on the same grid from nothing, its start included, in turns. The share of the peak is that of the matrix
products of all sampled and trained tokens, at the rate that both cores together reach for them (`floor.py`).
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

import polars as pl
import yaml
from floor import products
from record import Table, command_line, publish
from side_by_side import in_turns, ratio

import spurious
from spurious.organisms import build
from spurious.policy import load, prepare_process
from spurious.study.worker import cores

GOAL = 1.5
ARMS = {
    "ground truth": {"role": "treatment", "reward": "ground_truth"},
    "random": {"role": "placebo", "reward": "random"},
    "constant": {"role": "placebo", "reward": "constant"},
}
P, G, M = 8, 16, 4


def write_study(model: Path, runs: int, steps: int, path: Path) -> None:
    """Three arms of as many seeds, sized as the demo's."""
    study = {
        "name": "grid",
        "question": "How many runs side by side?",
        "expectation": "As many as there are cores, each on one thread.",
        "base": {
            "task": "chain",
            "steps": steps,
            "grpo": {"prompts_per_rollout": P, "group_size": G, "updates_per_rollout": M, "lr": 1e-4},
            "sampling": {"max_tokens": 64},
        },
        "arms": ARMS,
        "models": {"organism": str(model.resolve())},
        "seeds": runs // len(ARMS),
        "benches": [{"task": {"name": "chain", "limit": 100}, "max_tokens": 64}],
        "primary": "accuracy@final on chain",
    }
    path.write_text(yaml.safe_dump(study), encoding="utf-8")


def run(study: Path, store: Path, jobs: str, threads: int) -> None:
    """The command, as it is typed."""
    command = [sys.executable, "-m", "spurious", "study", "run", str(study), "--store", str(store), "--jobs", jobs]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, capture_output=True, env=environment)


def least_seconds(model: Path, store: Path) -> float:
    """Of the matrix products in all runs of a store, on all cores."""
    prepare_process(cores())
    policy = load(str(model), device="cpu")
    each = products(policy.model, P * G, P * G // M * 30)
    tables = spurious.load(store)
    sampled = tables.rollouts["n_tokens"].sum() + tables.evals["n_tokens"].sum()
    trained = tables.metrics["tokens/trained"].sum()
    prompts = tables.metrics["rows/trained"].sum() * _prompt_tokens(tables.rollouts, policy.tokenizer)
    return sampled * each.read + (trained + prompts) * each.trained


def _prompt_tokens(rollouts: pl.DataFrame, tokenizer: object) -> float:
    prompts = rollouts["prompt"].unique().to_list()
    return sum(len(tokenizer(prompt)["input_ids"]) for prompt in prompts) / len(prompts)  # type: ignore[operator]


def main() -> None:
    parser = command_line(__doc__, runs=24, steps=4, pairs=2)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/organisms/good-code"))
    arguments = parser.parse_args()
    if not arguments.model.is_dir():
        build("good-code", arguments.model)
    number, n = count(), cores()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "grid.yaml"
        write_study(arguments.model, arguments.runs, arguments.steps, study)

        def way(jobs: str, threads: int) -> Callable[[], None]:
            return lambda: run(study, Path(folder) / f"store-{next(number)}", jobs, threads)

        auto, one = in_turns([way("auto", 1), way("1", n)], arguments.pairs, warm_up=False)
        least = least_seconds(arguments.model, Path(folder) / "store-0")
    rows = [
        {
            "way": name,
            "seconds": median(seconds),
            "runs an hour": 3600 * arguments.runs / median(seconds),
            "share of the peak": least / median(seconds),
        }
        for name, seconds in ((f"--jobs auto ({n}), one thread each", auto), (f"--jobs 1, {n} threads", one))
    ]
    compared = [{"": "--jobs auto against --jobs 1", "times as fast": ratio(auto, one), "goal": GOAL}]
    publish("study", [Table(f"A grid of {arguments.runs} runs", rows), Table("Ratio", compared)], arguments)


if __name__ == "__main__":
    main()
