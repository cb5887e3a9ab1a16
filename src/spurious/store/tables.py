"""The schema of the stored tables, written with one explicit type per column so that any two files concatenate."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

COMPLETION_COLUMNS: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    "problem_id": pl.String(),
    "kind": pl.String(),
    "copy": pl.Int64(),
    "sample": pl.Int64(),
    "prompt": pl.String(),
    "text": pl.String(),
    "n_tokens": pl.Int64(),
    "stop": pl.String(),
    "answer": pl.String(),
    "grade": pl.String(),
    "extracted": pl.String(),
    "strict_grade": pl.String(),
    "logprob": pl.Float64(),
}
"""What every completion row says: `grade` and `extracted` by lenient extraction against the true `answer`,
`strict_grade` when only a box counts, `logprob` the sampler's summed over the tokens (null: a server was silent)."""

ROLLOUT_COLUMNS: dict[str, pl.DataType] = {
    "label": pl.String(),
    "reward": pl.Float64(),
    "advantage": pl.Float64(),
    "mean_token_probability": pl.Float64(),
}
"""What a training row says besides: what the reward was told, what it paid, and what was made of it."""

BEHAVIOR = "behavior/"
"""Prefix of the columns that hold what `spurious.behaviors` measured."""

RATIO_EDGES = tuple(2 ** ((k + 0.5) / 16) for k in range(-17, 17))
"""The 34 edges of the 35 bins of the metric `ratio/histogram`, the first and last open: sixteenths of an octave, one
centered on 1, from about 0.49 to 2.04."""


def frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A table of the rows with the given columns first, then their behaviors in order of name, as doubles."""
    behaviors = sorted({name for row in rows for name in row if name.startswith(BEHAVIOR)})
    schema = {**columns, **{name: pl.Float64() for name in behaviors}}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")
