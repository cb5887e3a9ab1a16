"""Curves over training steps as the paper draws them: smoothed per run, then one band per arm over its seeds."""

import polars as pl

WINDOW = 10
"""Training steps that a smoothed value averages: its own and those before it."""

RAW_POINTS = 150
"""Points of one raw curve that are drawn; longer ones are thinned evenly, smoothed curves are too."""


def smoothed(curves: pl.DataFrame, *, window: int = WINDOW) -> pl.DataFrame:
    """Add `smooth`, the mean of `value` over the last `window` steps; step 0 stands for itself and is in no window.

    Args:
        curves: columns `arm`, `seed`, `step`, `value` of one model; null values (nothing was measured) are skipped.
        window: in rows of one curve, which has a row a step.
    """
    return curves.sort("arm", "seed", "step").with_columns(
        pl.when(pl.col("step") == 0)
        .then(pl.col("value"))
        .otherwise(pl.col("value").rolling_mean(window, min_samples=1).over("arm", "seed", pl.col("step") == 0))
        .alias("smooth")
    )


def bands(curves: pl.DataFrame) -> pl.DataFrame:
    """One row an arm and step: `mean`, `low` and `high` of `smooth` over the seeds, and their number."""
    return (
        curves.drop_nulls("smooth")
        .group_by("arm", "step")
        .agg(
            pl.col("smooth").mean().alias("mean"),
            pl.col("smooth").min().alias("low"),
            pl.col("smooth").max().alias("high"),
            pl.len().alias("seeds"),
        )
        .sort("arm", "step")
    )


def thinned(curve: pl.DataFrame, points: int = RAW_POINTS) -> pl.DataFrame:
    """At most about so many rows of one curve, the first and the last among them."""
    if curve.height <= points:
        return curve
    stride = -(-curve.height // points)
    places = pl.int_range(pl.len())
    return curve.filter((places % stride == 0) | (places == pl.len() - 1))
