"""What a handful of seeds says without any distribution: the sign test, and the median with its interval.

A mean can be carried by one lucky seed; how many seeds went up, and where their middle lies, cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.special import chdtri

from spurious.analysis.statistics import ROUNDING, Floats


@dataclass(frozen=True, slots=True)
class Signs:
    """How many values are above, below and at 0, and the sign test on those that are not 0."""

    up: int
    down: int
    equal: int
    p: float
    """Two-sided, exact; its smallest value is 2 / 2^n."""


def signs(values: Sequence[float] | Floats) -> Signs:
    """The sign test of 'above 0 is as likely as below'; values at 0 say nothing about it and are left out."""
    array = np.asarray(values, dtype=np.float64)
    up, down = int(np.sum(array > ROUNDING)), int(np.sum(array < -ROUNDING))
    n = up + down
    tail = sum(comb(n, k) for k in range(min(up, down) + 1))
    return Signs(up, down, array.size - n, min(1.0, 2 * tail / 2**n))


def median_interval(values: Sequence[float] | Floats, confidence: float = 0.95) -> tuple[float, float] | None:
    """The narrowest interval between two of the values, as far from both ends, that covers the median so often.

    Order statistics, whatever the distribution (David and Nagaraja 2003, section 7.1). None where even the whole range
    covers less: five values cover 93.75 %.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = ordered.size
    missed, left = 0.0, -1
    while left + 1 < n / 2 and missed + 2 * comb(n, left + 1) / 2**n <= 1 - confidence:
        left += 1
        missed += 2 * comb(n, left) / 2**n
    return (float(ordered[left]), float(ordered[n - 1 - left])) if left >= 0 else None


def deviation_interval(values: Sequence[float] | Floats, confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval of the standard deviation of normal values, by chi squared; None where they do not differ.

    sd sqrt((n - 1) / q) for both quantiles q of chi squared with n - 1 degrees of freedom.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2 or array.std() <= ROUNDING:
        return None
    df, tail = array.size - 1, (1 - confidence) / 2
    low, high = (float(array.std(ddof=1) * np.sqrt(df / chdtri(df, upper))) for upper in (tail, 1 - tail))
    return low, high
