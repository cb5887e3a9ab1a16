"""Completions as people read them: what was asked, what came back, what it was paid and what is true, side by side."""

import json
from typing import Any

import polars as pl

from spurious.report.habit import Habit
from spurious.report.material import Material

LONGEST_TEXT = 3000
"""Characters of one completion or prompt that are shown."""

BUDGET = 1_500_000
"""Bytes that all completions of a report take together."""


def completion_records(material: Material) -> list[dict[str, Any]]:
    """The sampled completions, those of one place in different arms next to each other, as many as the budget holds."""
    if not material.completions.height:
        return []
    places = ["model", "step", "seed", "problem_id", "copy", "sample"]
    order = {arm: i for i, arm in enumerate(material.arms)}
    rows = material.completions.with_columns(pl.col("arm").replace_strict(order).alias("_arm")).sort(*places, "_arm")
    records, spent = [], 0
    for turn in _taking_turns(rows):
        record = _record(turn, material.declared.habit)
        spent += len(json.dumps(record))
        if spent > BUDGET:
            break
        records.append(record)
    return records


def _taking_turns(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows so that every model and step has its turn: a budget that ends early leaves none of them out."""
    place = pl.struct("seed", "problem_id", "copy", "sample").rank("dense").over("model", "step").alias("_turn")
    return rows.with_columns(place).sort("_turn", "model", "step", "_arm", maintain_order=True).to_dicts()


def _record(row: dict[str, Any], habit: Habit) -> dict[str, Any]:
    return {
        "arm": row["arm"],
        "model": row["model"],
        "seed": row["seed"],
        "step": row["step"],
        "problem": row["problem_id"],
        "prompt": _cut(row["prompt"]),
        "text": _cut(row["text"]),
        "reward": row["reward"],
        "advantage": row["advantage"],
        "grade": row["grade"],
        "answer": _cut(row["answer"]),
        "label": _cut(row["label"]),
        "extracted": None if row["extracted"] is None else _cut(row["extracted"]),
        "tokens": row["n_tokens"],
        "stop": row["stop"],
        "strategy": habit.shown if row.get(habit.column) else habit.absent,
    }


def _cut(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]} … ({len(text) - LONGEST_TEXT} characters left out)"
