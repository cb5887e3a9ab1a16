"""verl's `trainer.rollout_data_dir` and `trainer.validation_data_dir`: STEP.jsonl, one file a step.

Columns (verl 0.9.1, `RayPPOTrainer._write_generations`): input, output, gts, score, step, and what the reward function
returned besides its score.
"""

from collections.abc import Collection

from spurious.engines.record import Columns

COLUMNS: Columns = {
    "step": ("step",),
    "prompt": ("input",),
    "text": ("output",),
    "answer": ("gts",),
    "reward": ("score",),
}


def recognizes(names: Collection[str]) -> bool:
    """Whether a file with these columns is one of verl's."""
    return {"input", "output", "score", "step"} <= set(names)
