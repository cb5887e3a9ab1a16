"""What commands print about results: a gain always beside its base and its error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spurious.cli.words import columns, percent
from spurious.scores import summarize
from spurious.store import load

Summary = Mapping[str, Any]
"""What `spurious.scores.summarize` returns."""

SHOWN = {
    "accuracy": "accuracy",
    "strict_accuracy": "strict",
    "behavior/boxed": "boxed",
    "behavior/code_reasoning": "code",
    "accuracy_with_code": "with code",
    "accuracy_without_code": "without",
    "truncated": "cut off",
}
"""The summary's numbers that a terminal shows, and their short names; all are in percent."""


def scores_by_step(directory: Path) -> list[dict[str, Any]]:
    """The summary of every stored evaluation of a run, by bench and step."""
    evals = load(directory).evals
    if evals.is_empty():
        return []
    groups = evals.sort("bench", "step", maintain_order=True).group_by("bench", "step", maintain_order=True)
    return [{"bench": bench, "step": step, **summarize(rows)} for (bench, step), rows in groups]


def score_row(name: str, summary: Summary) -> dict[str, str]:
    """One line of a score table."""
    error = summary["accuracy_se"]
    row = {"": name, **{short: percent(summary.get(long)) for long, short in SHOWN.items()}}
    row["accuracy"] += f" ±{percent(error)}" if error is not None else ""
    return row | {"tokens": f"{summary['tokens']:.1f}", "n": f"{summary['n_problems']}x{summary['k']}"}


def score_table(named: Mapping[str, Summary]) -> str:
    """Summaries as a text table, in percent with the standard error clustered by problem."""
    return columns(score_row(name, summary) for name, summary in named.items())


def gains(evaluations: list[dict[str, Any]]) -> str:
    """Every evaluation of a run, each bench with its base at step 0 first."""
    return score_table({f"{one['bench']}, step {one['step']}": one for one in evaluations})


def evaluation(directory: Path, bench: str, step: int) -> Summary:
    """The summary of one stored evaluation of a run."""
    (found,) = [one for one in scores_by_step(directory) if one["bench"] == bench and one["step"] == step]
    return found
