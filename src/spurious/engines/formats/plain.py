"""Any JSON, JSONL or parquet file with one row a completion; columns are named by `--column` or go by usual names."""

from spurious.engines.record import FIELDS, Columns

USUAL: Columns = {
    "text": ("text", "completion", "response", "output", "generation"),
    "prompt": ("prompt", "input", "query", "instruction"),
    "question": ("question", "problem"),
    "answer": ("answer", "gold", "final_answer", "target", "ground_truth"),
    "problem_id": ("problem_id",),
    "step": ("step", "global_step"),
    "reward": ("reward", "score"),
    "stop": ("stop", "finish_reason"),
}

COLUMNS: Columns = {field: USUAL.get(field, (field,)) for field in FIELDS if field != "correct"}
"""A column `correct` is believed only where the mapping says so."""
