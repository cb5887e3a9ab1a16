"""Levels of one model on n problems, and differences: the same problems before and after, or two sets of problems.

About this model on problems of this kind; nothing here speaks of training seeds. Shares get intervals that do not
shrink to a point when nothing varies in the sample, since 200 of 200 is not certainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

from spurious.analysis.statistics import t_estimate, welch_estimate

Interval = tuple[float, float]

_Z = float(ndtri(0.975))


@dataclass(frozen=True, slots=True)
class Level:
    """A mean over n problems with its 95 % interval; no interval for one problem that is not a share."""

    mean: float
    interval: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the same problems: after minus before, problem by problem."""

    before: Level
    after: Level
    difference: Level
    p: float
    """Two-sided: McNemar's exact test where every outcome is 0 or 1, else the t test of the differences."""


def level(values: Sequence[float] | NDArray[np.float64], *, share: bool = True) -> Level:
    """A mean with its interval: Wilson's of a share where every value is 0 or 1, else t.

    Raises ValueError without values.
    """
    array = _checked(values)
    n = array.size
    interval = wilson(int(array.sum()), n) if share and _binary(array) else _t_interval(array)
    return Level(float(array.mean()), interval, n)


def change(before: Sequence[float] | NDArray[np.float64], after: Sequence[float] | NDArray[np.float64]) -> Change:
    """After minus before on the same problems, in the same order.

    The difference's interval is Bonett and Price's adjusted Wald (2012) where every outcome is 0 or 1, else t.

    Raises ValueError where the two differ in length, or are empty.
    """
    first, second = _checked(before), _checked(after)
    if first.size != second.size:
        raise ValueError(f"{first.size} problems before and {second.size} after are no pairs")
    differences = second - first
    if _binary(first) and _binary(second):
        up, down = int((differences > 0).sum()), int((differences < 0).sum())
        interval: Interval | None = bonett_price(up, down, first.size)
        p = mcnemar(up, down)
    else:
        interval = _t_interval(differences)
        p = t_estimate(differences, "problems").p if differences.size > 1 else 1.0
    return Change(level(first), level(second), Level(float(differences.mean()), interval, first.size), p)


def apart(
    a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64], *, share: bool = True
) -> tuple[Level, float]:
    """The mean of a minus the mean of b, two separate sets of problems, and the two-sided p that they are one.

    Newcombe's interval (1998, method 10) and Fisher's exact test of shares where every value is 0 or 1, else Welch's.
    `n` of the level counts all problems. Raises ValueError for a set of fewer than two.
    """
    first, second = _checked(a), _checked(b)
    n = first.size + second.size
    if min(first.size, second.size) < 2:
        raise ValueError("two sets of problems are told apart by two or more each")
    if share and _binary(first) and _binary(second):
        hits = int(first.sum()), int(second.sum())
        interval = newcombe(*hits, first.size, second.size)
        return Level(float(first.mean() - second.mean()), interval, n), fisher(*hits, first.size, second.size)
    estimate = welch_estimate(t_estimate(first, "problems"), t_estimate(second, "problems"))
    return Level(estimate.mean, estimate.interval(), n), estimate.p


def wilson(successes: int, n: int) -> Interval:
    """Wilson's 95 % interval of a share (1927)."""
    share, z2 = successes / n, _Z**2
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def bonett_price(up: int, down: int, n: int) -> Interval:
    """95 % interval of the paired difference (up - down) / n: one more of either kind, two more pairs (2012, eq. 6)."""
    rise, fall = (up + 1) / (n + 2), (down + 1) / (n + 2)
    half = _Z * sqrt((rise + fall - (rise - fall) ** 2) / (n + 2))
    return max(-1.0, rise - fall - half), min(1.0, rise - fall + half)


def mcnemar(up: int, down: int) -> float:
    """Two-sided exact p that a problem is as likely to rise as to fall; 1 where none did either."""
    total = up + down
    return min(1.0, 2 * float(bdtr(min(up, down), total, 0.5))) if total else 1.0


def newcombe(a: int, b: int, n_a: int, n_b: int) -> Interval:
    """95 % interval of a / n_a - b / n_b for independent shares, from Wilson's of each."""
    (low_a, high_a), (low_b, high_b) = wilson(a, n_a), wilson(b, n_b)
    share_a, share_b = a / n_a, b / n_b
    below = sqrt((share_a - low_a) ** 2 + (high_b - share_b) ** 2)
    above = sqrt((high_a - share_a) ** 2 + (share_b - low_b) ** 2)
    return share_a - share_b - below, share_a - share_b + above


def fisher(a: int, b: int, n_a: int, n_b: int) -> float:
    """Two-sided exact p of a of n_a against b of n_b: the chance of all tables no likelier than this one."""
    hits = a + b
    ways = {k: comb(n_a, k) * comb(n_b, hits - k) for k in range(max(0, hits - n_b), min(n_a, hits) + 1)}
    return sum(count for count in ways.values() if count <= ways[a]) / comb(n_a + n_b, hits)


def _checked(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("no problems")
    return array


def _binary(values: NDArray[np.float64]) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _t_interval(values: NDArray[np.float64]) -> Interval | None:
    return t_estimate(values, "problems").interval() if values.size > 1 else None
