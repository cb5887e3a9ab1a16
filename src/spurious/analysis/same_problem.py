"""Code against language on the same problem, so that difficulty does not explain that code is right more often.

A model may reason in code on what is easy. Pooled over all completions, the accuracy of code minus that of language
then shows how problems differ, not what code does. Among the completions of one problem, sampled from one policy, it
cannot.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from spurious.analysis.statistics import Estimate, t_estimate
from spurious.scores import CODE


@dataclass(frozen=True, slots=True)
class SameProblem:
    """Accuracy of code minus accuracy of language in the completions of one run."""

    naive: float | None
    """Over all completions, whatever their problem; None without both kinds."""
    within: float | None
    """Mean over the problems that have both kinds of the difference within the problem; None without such a problem."""
    error: Estimate | None
    """`within` with a problem as one cluster: about this run only; None for fewer than two problems."""
    problems: int
    """Problems with both kinds of completions at one step."""
    of: int
    """Problems in all."""


def same_problem(rows: pl.DataFrame, habit: str = CODE) -> SameProblem:
    """Compare both kinds of completions of each problem.

    Only completions of one step are set against each other, so that no change of the policy mixes in; the differences
    of a problem that came up at several steps are averaged, and every problem counts the same.

    Args:
        rows: completion rows of one run with `problem_id`, `grade` and the habit; `step`, if there are several.
        habit: the behavior column that tells code from language.
    """
    right, code = (pl.col("grade") == "correct").cast(pl.Float64), pl.col(habit) > 0
    graded = rows.filter(pl.col("grade").is_not_null() & pl.col(habit).is_not_null())
    overall = graded.select(right.filter(code).mean().alias("code"), right.filter(~code).mean().alias("language"))
    group = ["problem_id", "step"] if "step" in rows.columns else ["problem_id"]
    differences = (
        graded.group_by(group)
        .agg((right.filter(code).mean() - right.filter(~code).mean()).alias("difference"))
        .drop_nulls("difference")
        .group_by("problem_id")
        .agg(pl.col("difference").mean())
        .sort("problem_id")["difference"]
        .to_numpy()
    )
    with_code, in_language = overall.row(0)
    n = len(differences)
    return SameProblem(
        naive=None if with_code is None or in_language is None else with_code - in_language,
        within=float(np.mean(differences)) if n else None,
        error=t_estimate(differences, "problems") if n > 1 else None,
        problems=n,
        of=graded["problem_id"].n_unique(),
    )


def quantities(found: SameProblem) -> Iterator[tuple[str, float | None]]:
    """What is averaged over seeds: the two differences and what the choice of problem adds to the naive one."""
    yield "naive", found.naive
    yield "within", found.within
    both = found.naive is not None and found.within is not None
    yield "explained by the problem", found.naive - found.within if both else None  # type: ignore[operator]
