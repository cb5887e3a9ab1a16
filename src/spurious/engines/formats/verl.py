"""verl's `trainer.rollout_data_dir` and `trainer.validation_data_dir`: STEP.jsonl, one file a step.

Columns (verl 0.9.1, `RayPPOTrainer._write_generations`): input, output, gts, score, step, and what the reward function
returned besides its score. `gts` is what the reward is told, and true where the function names no other `answer`, as
`spurious.engines.adapters.verl` does.
"""

from collections.abc import Collection

from spurious.engines.record import Columns

COLUMNS: Columns = {
    "step": ("step",),
    "prompt": ("input",),
    "text": ("output",),
    "answer": ("answer", "gts"),
    "label": ("label",),
    "problem_id": ("problem_id",),
    "reward": ("score",),
}


def recognizes(names: Collection[str]) -> bool:
    """Whether a file with these columns is one of verl's."""
    return {"input", "output", "score", "step"} <= set(names)
