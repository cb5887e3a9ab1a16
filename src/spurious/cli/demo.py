"""`spurious demo`: an organism, trained under the true reward and under a coin, beside its base."""

import sys
from pathlib import Path

from spurious.specs import BenchSpec, RewardSpec, RunSpec, TaskSpec

STEPS = 20
BENCH = BenchSpec(task=TaskSpec(name="chain"))
REWARDS = ("ground_truth", "random")


def demo(*, out: Path = Path("runs/demo"), seed: int = 0) -> None:
    """Build the good-code organism, train it under `ground_truth` and under `random`, and print both beside the base.

    Run again, it goes on where it stopped, or only prints.

    Args:
        out: Where the organism and the runs are kept.
        seed: The seed of both runs; they see the same problems and the same sampling noise.
    """
    from spurious.cli.tables import Summary, evaluation, score_table
    from spurious.grpo.trainer import train
    from spurious.organisms import build
    from spurious.progress import on_terminal

    table: dict[str, Summary] = {}
    with on_terminal() as progress:
        model = build("good-code", out / "organisms" / "good-code", progress=progress)
        for reward in REWARDS:
            spec = RunSpec(
                model=str(model),
                task=TaskSpec(name="chain"),
                reward=RewardSpec(name=reward),
                benches=(BENCH,),
                steps=STEPS,
                seed=seed,
            )
            directory = train(spec, store=out, progress=progress)
            table.setdefault("base", evaluation(directory, BENCH.slug, 0))
            table[f"{reward}, {STEPS} steps"] = evaluation(directory, BENCH.slug, STEPS)
    print(score_table(table))
    print(f"\nOne seed ({seed}): this says something about these two runs, nothing yet about the rewards.")
    print(f"Runs are kept in {out}.", file=sys.stderr)
