"""How far a step goes for how much signal: Adam makes a full-size step of a gradient that few samples carry."""

from collections.abc import Iterator

import numpy as np

from spurious.analysis.correlation import spearman
from spurious.analysis.statistics import Floats

FAINT = 0.1
"""A step is faint if some groups have signal and at most this share of them."""


def step_sizes(signal: Floats, norm: Floats) -> Iterator[tuple[str, float | None]]:
    """What a run's steps did, from the share of groups with signal and the norm of the weight change, one value a step.

    Yields:
        `signal` and `norm`, means over the steps; `norm without signal`, over steps in which no group has any (momentum
        goes on); `norm of faint steps`; `norm of other steps`, with more signal; `spearman`, the rank correlation of
        norm and signal. Null where there are no such steps, or one of the two is constant.
    """
    none, faint = signal == 0, (signal > 0) & (signal <= FAINT)
    yield "signal", float(np.mean(signal))
    yield "norm", float(np.mean(norm))
    for name, which in (("without signal", none), ("of faint steps", faint), ("of other steps", signal > FAINT)):
        yield f"norm {name}", float(np.mean(norm[which])) if which.any() else None
    yield "spearman", spearman(signal, norm)
