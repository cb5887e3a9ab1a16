"""TRL's `log_completions=True`: OUTPUT_DIR/completions/completions_00001.parquet, one file a logging step.

Columns (trl 1.16): step, prompt, completion, one a reward function, those a reward function logs with `log_extra`, and
advantage. The true answer is there only if a reward function logs it: `log_extra("answer", answer)`, as
`spurious.engines.adapters.trl` does.
"""

from collections.abc import Collection, Sequence

from spurious.engines.files import Row
from spurious.engines.record import Columns

COLUMNS: Columns = {
    "step": ("step",),
    "prompt": ("prompt",),
    "text": ("completion",),
    "advantage": ("advantage",),
    "answer": ("answer", "solution", "ground_truth"),
    "label": ("label",),
    "problem_id": ("problem_id",),
}


def recognizes(names: Collection[str]) -> bool:
    """Whether a file with these columns is one of TRL's."""
    return {"step", "prompt", "completion", "advantage"} <= set(names)


def columns(rows: Sequence[Row]) -> Columns:
    """The columns of a file; `reward` is the only numeric one that TRL does not name itself, if there is only one.

    With several reward functions the weights of their sum are not in the file, so `reward` stays unknown.
    """
    known = {name for names in COLUMNS.values() for name in names}
    rewards = [
        name for name in rows[0][1] if name not in known and any(isinstance(row.get(name), float) for _, row in rows)
    ]
    return {**COLUMNS, "reward": rewards if len(rewards) == 1 else ()}


def repeats(before: Sequence[Row], rows: Sequence[Row]) -> bool:
    """Whether a file only says again what the file before it said.

    TRL logs the latest generation batch at every logging step, so with `num_iterations` or `steps_per_generation`
    above the logging interval the same completions stand in several files, under different steps.
    """
    return [_content(row) for row in before] == [_content(row) for row in rows]


def _content(row: Row) -> dict[str, str]:
    return {name: repr(value) for name, value in row[1].items() if name != "step"}
