"""Arms compared not after equal steps but after equal KL to the start: who has moved further may differ for that alone.

Clipping, learning rates and rewards change how far a policy goes. Whether the lower and the upper clip do different
things to the entropy (Park et al. 2025) is asked at the same distance from the start.
"""

from dataclasses import dataclass

import numpy as np

from spurious.analysis.statistics import Floats

SHORTEST = 1e-5
"""Nats a token: two runs whose common range of KL is shorter have not both moved, and nothing can be matched."""

GRID = 50
"""Points of the common range at which two runs are compared."""


@dataclass(frozen=True, slots=True)
class Path:
    """A quantity as a function of the distance from the start, in one run."""

    kl: Floats
    """Ascending, no value twice."""
    value: Floats


@dataclass(frozen=True, slots=True)
class Matched:
    """One run minus another at equal KL."""

    mean: float
    """Averaged over the common range of KL."""
    last: float
    """At its far end."""
    kl: float
    """The far end, nats a token."""


def path(kl: Floats, value: Floats) -> Path:
    """Make one value of every distance, from one value a step.

    The KL of a step is estimated from few completions and need not rise; it is replaced by the non-decreasing sequence
    closest to it in squares (pool adjacent violators), and steps that it gives one KL share the mean of their values.
    """
    blocks: list[list[float]] = []  # sum of KL, steps, sum of the value
    for distance, measured in zip(kl, value, strict=True):
        blocks.append([float(distance), 1.0, float(measured)])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return Path(np.array([total / n for total, n, _ in blocks]), np.array([total / n for _, n, total in blocks]))


def at_equal_kl(one: Path, other: Path) -> Matched | None:
    """One minus the other where both were, linearly between the steps; None where their ranges hardly overlap."""
    low, high = max(one.kl[0], other.kl[0]), min(one.kl[-1], other.kl[-1])
    if high - low <= SHORTEST:
        return None
    grid = np.linspace(low, high, GRID)
    difference = np.interp(grid, one.kl, one.value) - np.interp(grid, other.kl, other.value)
    weights = np.full(GRID, 1.0)
    weights[[0, -1]] = 0.5  # the trapezoid rule
    return Matched(float(weights @ difference / weights.sum()), float(difference[-1]), float(high))


def common_grid(paths: list[Path], points: int) -> Floats | None:
    """Distances that all of these runs passed; None where there are none worth the name."""
    low, high = max(one.kl[0] for one in paths), min(one.kl[-1] for one in paths)
    return np.linspace(low, high, points) if high - low > SHORTEST else None
