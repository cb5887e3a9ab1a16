"""Looking more than once without more false alarms: group-sequential levels by alpha spending.

After each batch of seeds a test may use the nominal two-sided level found here, and the chance that a true null is
rejected at any look stays at alpha (Lan and DeMets 1983). Each side spends its half by their function like O'Brien and
Fleming's, 2 - 2 Phi(z_(alpha/4) / sqrt(t)): little at first, so that the last look is nearly as sharp as a study with
one look. Levels come from Brownian motion and are applied to p-values of t tests, the significance-level approach
(Jennison and Turnbull 2000, section 3.8); docs/calibration.md shows what it keeps.
"""

from functools import cache, lru_cache
from itertools import pairwise
from math import sqrt

import numpy as np
from scipy.special import ndtr, ndtri

NODES = 200
"""Gauss-Legendre nodes of the recursion: enough for looks 1/100 apart."""

FAR = 38.0
"""Standard deviations that no look can need: beyond them double precision knows no probability."""


def spent(fraction: float, alpha: float) -> float:
    """The alpha spent when this fraction of the planned seeds has been seen."""
    return float(4 * ndtr(ndtri(alpha / 4) / sqrt(fraction)))


@lru_cache(maxsize=1024)
def nominal_levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The two-sided level of the test at each look; for one look, alpha itself.

    The recursion of Armitage, McPherson and Rowe (1969): the density of the statistic among studies that have not
    stopped is carried from look to look on a quadrature grid, and each boundary is placed to spend what is due.

    Args:
        looks: seeds seen in total at each look, increasing; the last is the most that will ever be run.
        alpha: two-sided error over all looks together.
    """
    if not looks or looks[0] < 1 or any(b <= a for a, b in pairwise(looks)):
        raise ValueError(f"looks are increasing numbers of seeds, not {looks}")
    if len(looks) == 1:
        return (alpha,)
    times = [look / looks[-1] for look in looks]
    boundary = min(FAR, float(-ndtri(spent(times[0], alpha) / 2))) * sqrt(times[0])
    levels = [spent(times[0], alpha)]
    points, weights = _grid(boundary)
    mass = weights * _normal(points, times[0])
    for before, now in pairwise(times):
        due = spent(now, alpha) - spent(before, alpha)
        step = sqrt(now - before)
        boundary = _boundary(points, mass, step, due, far=FAR * sqrt(now))
        levels.append(2 * float(ndtr(-boundary / sqrt(now))))
        fresh, weights = _grid(boundary)
        mass = weights * (_normal(fresh[:, None] - points[None, :], step**2) @ mass)
        points = fresh
    return tuple(levels)


def _boundary(points: np.ndarray, mass: np.ndarray, step: float, due: float, far: float) -> float:
    from scipy.optimize import brentq  # half a second that most commands do without

    def excess(bound: float) -> float:
        return float((ndtr((points - bound) / step) + ndtr((-bound - points) / step)) @ mass) - due

    return float(brentq(excess, 0.0, far, xtol=1e-12))


def _grid(bound: float) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = _legendre()
    return nodes * bound, weights * bound


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def _normal(x: np.ndarray, variance: float) -> np.ndarray:
    return np.asarray(np.exp(-(x**2) / (2 * variance)) / sqrt(2 * np.pi * variance))
