"""How cost grows: a rollout batch with its prompts, its group size and its length; a report with its runs.

    python benchmarks/growth.py [--pairs 3] [--threads 1] [--reports 25 50 100 200] [--report_steps 10] [--write]

A batch is sampled, scored and learned by the loop's own functions on an organism's body with random weights, which
never stops early. One size is doubled at a time, the others staying at 8 prompts of 16 completions of 32 tokens with 4
updates; every size is timed in turns with all others. The exponent is the slope of the logarithms by least squares: 1
is in proportion, more is worse. For a length the work itself grows faster than in proportion, as attention looks back.
"""

import tempfile
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from statistics import fmean, median
from typing import Any

from growing_reports import growing
from loop import Loop
from record import Table, command_line, publish
from side_by_side import in_turns

from spurious.grpo.arm import Inputs, prepare
from spurious.organisms import untrained
from spurious.policy import load, prepare_process
from spurious.specs import RunSpec

SIZES = {
    "prompts": (8, 16, 32),
    "group size": (16, 32, 64),
    "tokens": (32, 64, 128),
}
STANDING = {"prompts": 8, "group size": 16, "tokens": 32}
REPORT_GOAL = {"seconds": 20.0, "MB": 12.0}


def batch(model: Path, sizes: dict[str, int], folder: Path) -> Callable[[], None]:
    """One rollout batch and its updates, again and again from the same weights."""
    spec = RunSpec.model_validate(
        {
            "model": str(model),
            "task": "chain",
            "reward": "random",
            "grpo": {
                "prompts_per_rollout": sizes["prompts"],
                "group_size": sizes["group size"],
                "updates_per_rollout": 4,
                "lr": 1e-9,
            },
            "sampling": {"max_tokens": sizes["tokens"]},
            "steps": 1000,
        }
    )
    loop = Loop(prepare(spec, Inputs(None), {}), load(spec.model, device="cpu"), folder)

    def run() -> None:
        for name, work in loop.phases(0).items():
            if name != "store":
                work()

    return run


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of log cost in log size, by least squares."""
    x, y = [log(size) for size in sizes], [log(cost) for cost in costs]
    center_x, center_y = fmean(x), fmean(y)
    across = sum((a - center_x) * (b - center_y) for a, b in zip(x, y, strict=True))
    return across / sum((a - center_x) ** 2 for a in x)


def batches(model: Path, pairs: int, folder: Path) -> list[dict[str, Any]]:
    """One line for each size that grows."""
    rows = []
    for name, sizes in SIZES.items():
        taken = in_turns([batch(model, {**STANDING, name: size}, folder) for size in sizes], pairs)
        seconds = [median(one) for one in taken]
        shown = {f"{2**i} x": one for i, one in enumerate(seconds)}
        rows.append(
            {"what grows": f"{name} ({sizes[0]} to {sizes[-1]})", **shown, "exponent": exponent(sizes, seconds)}
        )
    return rows


def main() -> None:
    parser = command_line(__doc__, pairs=3, threads=1, report_steps=10)
    parser.add_argument("--reports", type=int, nargs="*", default=[25, 50, 100, 200])
    arguments = parser.parse_args()
    prepare_process(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = batches(untrained(Path(folder) / "model", "qwen2"), arguments.pairs, Path(folder))
    tables, notes = [Table("Seconds of a rollout batch and its updates", rows)], []
    if len(arguments.reports) > 1:
        reports = growing(arguments.reports, arguments.report_steps)
        tables.append(Table("A report", reports))
        slopes = {
            name: exponent([row["runs"] for row in reports], [row[name] for row in reports]) for name in REPORT_GOAL
        }
        goal = ", ".join(f"{limit:g} {name}" for name, limit in REPORT_GOAL.items())
        notes = [
            f"Exponents in the runs: {slopes['seconds']:.2f} of the seconds, {slopes['MB']:.2f} of the size. "
            f"Goal for 200 runs: at most {goal}."
        ]
    publish("growth", tables, arguments, notes=notes)


if __name__ == "__main__":
    main()
