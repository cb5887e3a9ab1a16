"""When a curve begins to move and when it has arrived, run by run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from spurious.analysis.statistics import Floats

HALF_WIDTH = 2
"""A smoothed value averages its step and so many on either side, fewer at the ends: without lag."""

NOISE_ERRORS = 3.0
"""A total change of at most so many standard errors is noise: then nothing began and nothing arrived."""


@dataclass(frozen=True, slots=True)
class Onset:
    """When one curve moved. Steps are interpolated between the steps that were measured."""

    change: float
    """Smoothed end minus smoothed start."""
    error: float
    """Standard error of that difference by the noise from step to step alone."""
    onset: float | None
    """Where the smoothed curve first has covered 10 % of the change; None where the change is within noise."""
    saturation: float | None
    """Where it first has covered 90 %."""


def onset(steps: Sequence[float] | Floats, values: Sequence[float] | Floats) -> Onset | None:
    """When a curve of one run moved; None for fewer than five values.

    The noise of one value is estimated from neighbors, sigma^2 = mean((v_i+1 - v_i)^2) / 2 (von Neumann 1941), which
    sees through a slow trend. Start and end average HALF_WIDTH + 1 values each, so their difference has the standard
    error sigma sqrt(2 / (HALF_WIDTH + 1)).

    Args:
        steps: in ascending order.
        values: one a step, such as the training accuracy.
    """
    x, v = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(v) < 2 * HALF_WIDTH + 1:
        return None
    smooth = centered(v)
    change = float(smooth[-1] - smooth[0])
    error = sqrt(float(np.mean(np.diff(v) ** 2)) / 2) * sqrt(2 / (HALF_WIDTH + 1))
    if change == 0 or abs(change) <= NOISE_ERRORS * error:
        return Onset(change, error, None, None)
    covered = (smooth - smooth[0]) / change
    return Onset(change, error, first_passage(x, covered, 0.1), first_passage(x, covered, 0.9))


def centered(values: Floats) -> Floats:
    """The moving average over HALF_WIDTH neighbors on either side, over those that exist at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, past = np.maximum(places - HALF_WIDTH, 0), np.minimum(places + HALF_WIDTH + 1, len(values))
    return np.asarray((sums[past] - sums[first]) / (past - first), dtype=np.float64)


def first_passage(x: Floats, y: Floats, level: float) -> float:
    """Where the broken line through (x, y) first reaches `level`.

    Raises:
        ValueError: it never does.
    """
    above = np.flatnonzero(y >= level)
    if not above.size:
        raise ValueError(f"the curve never reaches {level}")
    i = int(above[0])
    if i == 0:
        return float(x[0])
    share = (level - y[i - 1]) / (y[i] - y[i - 1])
    return float(x[i - 1] + share * (x[i] - x[i - 1]))
