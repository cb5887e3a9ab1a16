"""Do code frequency and accuracy move together over the steps of a run?

Both are measured on the same completions, so a step that happens to have more code has more right answers where code is
more often right, with no training at all: an arm that does not train (a constant reward) shows how much that gives.
Curves with a trend correlate whatever their cause; their first differences do not for that reason alone.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from spurious.analysis.statistics import ROUNDING, Floats

LAGS = (-3, -2, -1, 0, 1, 2, 3)
"""Steps by which accuracy is read after code frequency: above 0 code comes first."""

FEWEST = 4
"""Pairs that a correlation needs here, beyond the controls that it partials out."""


def correlations(code: Floats, accuracy: Floats, controls: Sequence[Floats]) -> dict[str, float | None]:
    """Every correlation of two series of one run, one value a step; None where it is undefined.

    Keys: `pearson`, `spearman`, `partial` (length, boxing and what else the controls hold, partialled out),
    `differences` (Pearson of the changes from step to step) and `lag -3` to `lag 3` (Pearson of code with the accuracy
    so many steps later).
    """
    return {
        "pearson": pearson(code, accuracy),
        "spearman": spearman(code, accuracy),
        "partial": partial(code, accuracy, controls),
        "differences": pearson(np.diff(code), np.diff(accuracy)),
        **{f"lag {lag}": lagged(code, accuracy, lag) for lag in LAGS},
    }


def pearson(x: Floats, y: Floats) -> float | None:
    """The product-moment correlation; None for fewer than `FEWEST` pairs or a series that is constant."""
    if len(x) < FEWEST or _constant(x) or _constant(y):
        return None
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def spearman(x: Floats, y: Floats) -> float | None:
    """Pearson's of the ranks, ties sharing their mean rank."""
    return pearson(*(pl.Series(values).rank("average").to_numpy() for values in (x, y)))


def lagged(x: Floats, y: Floats, lag: int) -> float | None:
    """Pearson's of x with y `lag` steps later, over the steps that have both."""
    if lag < 0:
        return lagged(y, x, -lag)
    return pearson(x[: max(0, len(x) - lag)], y[lag:])


def partial(x: Floats, y: Floats, controls: Sequence[Floats]) -> float | None:
    """Pearson's of what a linear fit on the controls leaves of x and of y.

    None where it leaves nothing of one of them, or fewer than `FEWEST` pairs more than there are controls.
    """
    moving = [control for control in controls if not _constant(control)]
    if len(x) < FEWEST + len(moving) or _constant(x) or _constant(y):
        return None
    design = np.column_stack([np.ones(len(x)), *((c - c.mean()) / c.std() for c in moving)])
    left = [series - design @ np.linalg.lstsq(design, series, rcond=None)[0] for series in (x, y)]
    if any(rest.std() <= 1e-9 * series.std() for rest, series in zip(left, (x, y), strict=True)):
        return None
    return pearson(*left)


def _constant(series: Floats) -> bool:
    return float(np.ptp(series)) <= ROUNDING
