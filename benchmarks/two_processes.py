"""The TRL engine on one process and on two (gloo, torchrun): the same runs, with rewards that read whole groups.

    python benchmarks/two_processes.py [--model organisms/good-code] [--steps 20] [--seeds 101 102 103]

Without arguments it takes an untrained organism and two steps, which shows that everything runs and no more.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev

import polars as pl

import spurious
from spurious.organisms import untrained

REWARDS = {"majority vote": "majority_vote", "shuffled ground truth": '{"shuffled": "ground_truth"}'}


def trained(processes: int, out: Path, arguments: argparse.Namespace, reward: str, seed: int) -> Path:
    """The directory of a run on so many processes."""
    start = [sys.executable, "-m", "spurious"]
    if processes > 1:
        torchrun = str(Path(sys.executable).with_name("torchrun"))
        start = [torchrun, "--standalone", f"--nproc_per_node={processes}", "-m", "spurious"]
    size = {"prompts-per-rollout": 8, "group-size": 16, "updates-per-rollout": 4, "lr": 1e-4}
    command = [*start, "train", "--engine=trl", f"--model={arguments.model}", "--task=chain", "--bench=chain"]
    command += [f"--reward={reward}", f"--steps={arguments.steps}", f"--seed={seed}", f"--out={out}"]
    command += ["--sampling.max-tokens=64", *(f"--grpo.{name}={value}" for name, value in size.items())]
    if arguments.eval_limit:
        command.append(f"--eval-limit={arguments.eval_limit}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return out


def accuracies(directory: Path, steps: int) -> tuple[float, float]:
    """Before training and after it, in percent."""
    evals = spurious.load(directory).evals
    first, last = (100 * evals.filter(pl.col("step") == step)["grade"].eq("correct").mean() for step in (0, steps))
    return first, last


def whole(directory: Path, reward: str) -> bool:
    """Whether every group was paid as a whole: all 16 are there, and a permutation of the truth pays as often as it."""
    paid = (
        spurious.load(directory)
        .rollouts.group_by("step", "problem_id", "copy")
        .agg(pl.len(), pl.col("reward").sum(), pl.col("strict_grade").eq("correct").sum().alias("correct"))
    )
    return set(paid["len"]) == {16} and (
        "shuffled" not in reward or paid["reward"].to_list() == paid["correct"].to_list()
    )


def same_start(one: Path, other: Path) -> bool:
    """Whether two runs were asked and paid alike at their first step, to the last digit."""
    columns = ["problem_id", "sample", "text", "reward", "advantage"]
    first, second = (spurious.load(path).rollouts.filter(pl.col("step") == 0).select(columns) for path in (one, other))
    return first.equals(second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101])
    parser.add_argument("--out", type=Path, help="where runs are kept; by default nowhere")
    arguments = parser.parse_args()
    arguments.eval_limit = None if arguments.model else 20
    if not find_spec("trl"):
        print("TRL is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        arguments.model = arguments.model or untrained(Path(folder) / "model", "qwen2")
        print("| reward | seed | before | one process | two processes | same first step | whole groups |")
        print("|---|---|---|---|---|---|---|")
        for name, reward in REWARDS.items():
            differences = []
            for seed in arguments.seeds:
                stem = f"{name.replace(' ', '-')}-{seed}"
                one, two = (trained(n, out / f"{stem}-{n}", arguments, reward, seed) for n in (1, 2))
                before, after = accuracies(one, arguments.steps)
                _, shared = accuracies(two, arguments.steps)
                differences.append(shared - after)
                checks = f"{same_start(one, two)} | {whole(one, reward) and whole(two, reward)}"
                print(f"| {name} | {seed} | {before:.1f} | {after:.1f} | {shared:.1f} | {checks} |", flush=True)
            spread = f", standard deviation {stdev(differences):.2f}" if len(differences) > 1 else ""
            print(f"{name}: two processes minus one {fmean(differences):+.2f} points{spread}", file=sys.stderr)


if __name__ == "__main__":
    main()
