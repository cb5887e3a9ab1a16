"""The reference trajectory: what a short run of this package came to, kept in reference.json.

    python tests/grpo/reference.py

writes it anew, which a change of the algorithm has to want: every run in every store came from the same arithmetic.
"""

import json
import os
import tempfile
from pathlib import Path

RECORD = Path(__file__).with_name("reference.json")
METRICS = (
    "reward/mean", "tokens/trained", "groups/signal", "loss/mean", "optim/grad_norm", "optim/grad_norm_by_update",
    "ratio/mean", "ratio/largest_deviation", "ratio/clip_fraction_low", "ratio/clip_fraction_high", "probability/mean",
    "entropy/mean", "kl/old", "kl/to_start", "clip_bias/expected", "clip_bias/realized", "update/norm",
)  # fmt: skip
RUN = {
    "task": {"chain": {"steps": 1, "size": 32}},
    "reward": "random",
    "grpo": {"prompts_per_rollout": 8, "group_size": 8, "updates_per_rollout": 4, "lr": 3e-4},
    "sampling": {"max_tokens": 16},
    "steps": 3,
    "seed": 7,
}
"""A coin on random weights at a high rate of learning, so that every step clips; not so high that rounding grows."""


def trajectory(model: Path, folder: Path) -> list[dict[str, float | list[float]]]:
    """Those metrics of every step, of a run from a model's weights."""
    from spurious.grpo.trainer import train
    from spurious.specs import RunSpec

    directory = train(RunSpec.model_validate({**RUN, "model": str(model)}), folder / "reference")
    rows = map(json.loads, (directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [{name: row[name] for name in METRICS} for row in rows]


def main() -> None:
    from spurious.organisms import untrained
    from spurious.policy import prepare_process

    prepare_process(1)
    with tempfile.TemporaryDirectory() as folder:
        steps = trajectory(untrained(Path(folder) / "model"), Path(folder))
    RECORD.write_text("[\n" + ",\n".join(f" {json.dumps(step)}" for step in steps) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("MKL_CBWR", "AVX2")
    main()
