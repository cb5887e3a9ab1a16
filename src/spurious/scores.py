"""From completion rows to numbers: avg@k, unbiased pass@k, maj@k, the grade mix, and standard errors by problem.

The rows are those of `spurious.store.tables`; where they come from (an evaluation, a stored run, another trainer) does
not matter here.
"""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import fmean, stdev
from typing import get_args

import polars as pl

from spurious.signals.votes import answer_classes
from spurious.store.tables import BEHAVIOR
from spurious.types import Status

CODE = f"{BEHAVIOR}code_reasoning"


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Chance that at least one of k samples drawn without replacement from n, of which `correct` are right, is right.

    1 - C(n - c, k) / C(n, k), the unbiased estimator of Chen et al. 2021, equation 1; exact integers throughout.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples, there are {n}")
    return 1.0 - comb(n - correct, k) / comb(n, k)


def majority(answers: Sequence[str | None], correct: Sequence[bool]) -> bool:
    """Whether the most common answer is right, by the same vote as `spurious.signals.votes` holds."""
    classes = answer_classes(answers)
    return bool(classes) and any(correct[i] for i in classes[0].members)


def mean_and_error(per_problem: Sequence[float]) -> tuple[float, float | None]:
    """Mean over problems and its standard error, sd / sqrt(n) with ddof 1; the samples of a problem are one cluster.

    The error is None for fewer than two problems.
    """
    error = stdev(per_problem) / sqrt(len(per_problem)) if len(per_problem) > 1 else None
    return fmean(per_problem), error


def summarize(rows: pl.DataFrame) -> dict[str, float | int | None]:
    """The numbers of one benchmark; shares are in [0, 1], lengths in tokens. Every problem needs equally many samples.

    Raises:
        ValueError: there are no rows, or problems differ in their number of samples.
    """
    if rows.is_empty():
        raise ValueError("no completion rows to summarize")
    problems = [group for _, group in rows.group_by("problem_id", maintain_order=True)]
    k = problems[0].height
    if any(group.height != k for group in problems):
        raise ValueError(f"problems differ in their number of samples: {sorted({g.height for g in problems})}")
    right = [(group["grade"] == "correct").to_list() for group in problems]
    accuracy, error = mean_and_error([fmean(flags) for flags in right])
    strict, strict_error = mean_and_error([_share(g["strict_grade"], "correct") for g in problems])
    summary: dict[str, float | int | None] = {
        "n_problems": len(problems),
        "k": k,
        "accuracy": accuracy,
        "accuracy_se": error,
        "strict_accuracy": strict,
        "strict_accuracy_se": strict_error,
    }
    for j in powers_of_two(k):
        summary[f"pass@{j}"] = fmean(pass_at_k(k, sum(flags), j) for flags in right)
    summary[f"maj@{k}"] = fmean(
        majority(group["extracted"].to_list(), flags) for group, flags in zip(problems, right, strict=True)
    )
    summary |= {f"grade/{status}": _share(rows["grade"], status) for status in get_args(Status)}
    summary["truncated"] = _share(rows["stop"], "length")
    summary["tokens"] = _mean(rows["n_tokens"])
    summary |= {name: _mean(rows[name]) for name in rows.columns if name.startswith(BEHAVIOR)}
    if CODE in rows.columns:
        summary["accuracy_with_code"] = _accuracy(rows.filter(pl.col(CODE) > 0))
        summary["accuracy_without_code"] = _accuracy(rows.filter(pl.col(CODE) == 0))
    return summary


def powers_of_two(k: int) -> list[int]:
    """1, 2, 4 and so on up to k, and k itself: the sizes at which pass@ is shown for k samples."""
    return sorted({2**i for i in range(k.bit_length()) if 2**i <= k} | {k})


def _mean(values: pl.Series) -> float | None:
    known = values.drop_nulls().to_list()
    return fmean(known) if known else None


def _share(values: pl.Series, word: str) -> float:
    return values.to_list().count(word) / len(values)


def _accuracy(rows: pl.DataFrame) -> float | None:
    return _share(rows["grade"], "correct") if rows.height else None
