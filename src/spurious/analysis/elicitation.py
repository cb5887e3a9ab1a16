"""The best prompt of an untrained model, as something that training has to beat."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True, eq=False)
class BestPrompt:
    """The prompt that did best on every other problem, and its rows on the rest."""

    name: str
    tried: int
    """Prompts that it was chosen from."""
    held_out: pl.DataFrame
    """Its rows on the problems that it was not chosen by, so that choosing does not flatter it."""

    @property
    def problems(self) -> pl.Series:
        """Ids of those problems, in ascending order."""
        return self.held_out["problem_id"].unique().sort()


def best_prompt(rows: pl.DataFrame, value: pl.Expr) -> BestPrompt:
    """Choose among prompts on every other problem, by the mean of `value`; among equals the last by name.

    Args:
        rows: of the untrained model, with `prompt_name`, `problem_id` and what `value` needs.
        value: of one row, a number or a truth value.
    """
    chooses = pl.col("problem_id").is_in(rows["problem_id"].unique().sort().gather_every(2).implode())
    means = rows.filter(chooses).group_by("prompt_name").agg(value.cast(pl.Float64).mean().alias("mean"))
    name = str(means.sort("mean", "prompt_name")[-1]["prompt_name"][0])
    return BestPrompt(name, means.height, rows.filter(~chooses, pl.col("prompt_name") == name))
