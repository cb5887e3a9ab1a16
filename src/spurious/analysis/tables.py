"""What completions do, step by step: strategy and accuracy, behaviors, lengths, grades, and what the reward paid for.

Plain functions from completion rows (`spurious.store.tables`) to small tables with one row a step, in order; rows
without a step are one step. Shares are in [0, 1]; a number that the rows do not tell is null.
"""

from collections.abc import Callable
from typing import get_args

import polars as pl

from spurious.scores import CODE
from spurious.store.tables import BEHAVIOR
from spurious.types import Status

_RIGHT = pl.col("grade") == "correct"
_CODE = pl.col(CODE) > 0
_PAID = pl.col("reward") > 0


def strategy(rows: pl.DataFrame) -> pl.DataFrame:
    """Accuracy, code frequency and how the two go together (paper, section 4.2 and figure 6).

    Columns: `n` completions, `graded` of them; `accuracy` with `accuracy_se`, its standard error with the completions
    of a problem as one cluster (null for fewer than two problems), `strict_accuracy`; `code`, the share of code
    reasoning; `accuracy_with_code` = P(correct | code) over the `graded_with_code` and `accuracy_without_code` over the
    `graded_without_code`; `code_given_correct` and `code_given_wrong` = P(code | correct), P(code | not correct).
    """
    table = rows.group_by("step").agg(
        pl.len().alias("n"),
        pl.col("grade").count().alias("graded"),
        _RIGHT.mean().alias("accuracy"),
        (pl.col("strict_grade") == "correct").mean().alias("strict_accuracy"),
        _CODE.mean().alias("code"),
        _RIGHT.filter(_CODE).mean().alias("accuracy_with_code"),
        _RIGHT.filter(_CODE).count().alias("graded_with_code"),
        _RIGHT.filter(~_CODE).mean().alias("accuracy_without_code"),
        _RIGHT.filter(~_CODE).count().alias("graded_without_code"),
        _CODE.filter(_RIGHT).mean().alias("code_given_correct"),
        _CODE.filter(~_RIGHT).mean().alias("code_given_wrong"),
    )
    whole = table.join(_standard_errors(rows), on="step", how="left", nulls_equal=True)
    first = ["step", "n", "graded", "accuracy", "accuracy_se"]
    return whole.select(*first, pl.exclude(first)).sort("step")


def _standard_errors(rows: pl.DataFrame) -> pl.DataFrame:
    """Of the accuracy, a ratio of sums over problems: sqrt(m / (m - 1) sum_p (sum_i x_pi - a)^2) / n for m problems.

    With equally many completions a problem it is sd / sqrt(m) of the problems' accuracies. A completion of an unknown
    problem is its own cluster.
    """
    graded = rows.filter(pl.col("grade").is_not_null()).with_row_index("row")
    apart = graded.select(
        "step",
        pl.col("problem_id").fill_null(pl.format("row {}", "row")).alias("cluster"),
        (_RIGHT.cast(pl.Float64) - _RIGHT.mean().over("step")).alias("off"),
    )
    clusters = apart.group_by("step", "cluster").agg(pl.col("off").sum(), pl.len().alias("size"))
    m = pl.len()
    error = (pl.col("off").pow(2).sum() * m / (m - 1)).sqrt() / pl.col("size").sum()
    return clusters.group_by("step").agg(pl.when(m > 1).then(error).alias("accuracy_se"))


def behaviors(rows: pl.DataFrame) -> pl.DataFrame:
    """The mean of every behavior: a share for those that are there or not, a mean count or length for the others."""
    names = sorted(name for name in rows.columns if name.startswith(BEHAVIOR))
    return _by_step(rows, [pl.col(name).mean().alias(name.removeprefix(BEHAVIOR)) for name in names])


def lengths(rows: pl.DataFrame) -> pl.DataFrame:
    """Mean, median and 90th percentile in characters and in tokens, and the share `truncated` by the token limit."""
    measures = {"characters": pl.col("text").str.len_chars(), "tokens": pl.col("n_tokens")}
    numbers = [
        number.alias(f"{name}_{word}")
        for name, length in measures.items()
        for word, number in (
            ("mean", length.mean()),
            ("median", length.median()),
            ("p90", length.quantile(0.9, interpolation="linear")),
        )
    ]
    return _by_step(rows, [*numbers, (pl.col("stop") == "length").mean().alias("truncated")])


def grades(rows: pl.DataFrame) -> pl.DataFrame:
    """The share of every status among the graded completions."""
    return _by_step(rows, [(pl.col("grade") == status).mean().alias(status) for status in get_args(Status)])


def rewards(rows: pl.DataFrame) -> pl.DataFrame:
    """What was paid: the mean `reward`, and its mean over correct and over other completions; equal for a placebo."""
    paid = pl.col("reward")
    return _by_step(
        rows,
        [
            paid.count().alias("rewarded"),
            paid.mean().alias("reward"),
            paid.filter(_RIGHT).mean().alias("reward_given_correct"),
            paid.filter(~_RIGHT).mean().alias("reward_given_wrong"),
        ],
    )


def credit(rows: pl.DataFrame) -> pl.DataFrame:
    """What training pushed up and down, beside what is true and how it was reached.

    Columns: `encouraged` and `discouraged`, completions with advantage above and below 0; `correct_given_encouraged` =
    P(correct | A > 0) and `correct_given_discouraged` = P(correct | A < 0); `paid`, the share with a reward above 0;
    `code_given_paid` = P(code | paid) and `code_given_unpaid`; `agreement`, the share in which paid and correct are
    both so or both not so; `kappa`, Cohen's: agreement beyond that of a coin with the same shares, null where a coin
    agrees always.
    """
    up, down = pl.col("advantage") > 0, pl.col("advantage") < 0
    agree = _PAID == _RIGHT
    known = _PAID.is_not_null() & _RIGHT.is_not_null()
    paid, right = _PAID.filter(known).mean(), _RIGHT.filter(known).mean()
    chance = paid * right + (1 - paid) * (1 - right)
    return _by_step(
        rows,
        [
            up.sum().alias("encouraged"),
            down.sum().alias("discouraged"),
            _RIGHT.filter(up).mean().alias("correct_given_encouraged"),
            _RIGHT.filter(down).mean().alias("correct_given_discouraged"),
            _PAID.mean().alias("paid"),
            _CODE.filter(_PAID).mean().alias("code_given_paid"),
            _CODE.filter(~_PAID).mean().alias("code_given_unpaid"),
            agree.mean().alias("agreement"),
            pl.when(chance < 1).then((agree.mean() - chance) / (1 - chance)).alias("kappa"),
        ],
    )


TABLES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    table.__name__: table for table in (strategy, behaviors, lengths, grades, rewards, credit)
}


def _by_step(rows: pl.DataFrame, numbers: list[pl.Expr]) -> pl.DataFrame:
    return rows.group_by("step").agg(pl.len().alias("n"), *numbers).sort("step")
