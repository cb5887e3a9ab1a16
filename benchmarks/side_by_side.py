"""Two ways to do one thing, timed in turns in one process: their ratio hardly depends on how busy the machine is."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any

COVERAGE = 0.9
"""Least probability that the interval covers the median, pairs being independent."""


@dataclass(frozen=True)
class Ratio:
    """How many times as long the other way took: median over pairs, and an interval for it."""

    median: float
    low: float
    high: float
    pairs: int


def in_turns(ways: Sequence[Callable[[], Any]], pairs: int, *, warm_up: bool = True) -> list[list[float]]:
    """Seconds of every way, `pairs` times each, alternating and in changing order, after one time that does not count.

    Args:
        ways: what is timed.
        pairs: how often.
        warm_up: whether there is that one time; processes that start anew each time do not need it.

    Returns:
        One list a way.
    """
    for way in ways if warm_up else ():
        way()
    seconds: list[list[float]] = [[] for _ in ways]
    for turn in range(pairs):
        order = range(len(ways)) if turn % 2 == 0 else reversed(range(len(ways)))
        for i in order:
            started = time.perf_counter()
            ways[i]()
            seconds[i].append(time.perf_counter() - started)
    return seconds


def ratio(ours: Sequence[float], others: Sequence[float]) -> Ratio:
    """The median of other / ours over pairs, with the narrowest interval of order statistics that covers `COVERAGE`."""
    ratios = sorted(other / mine for mine, other in zip(ours, others, strict=True))
    n, cut = len(ratios), 0
    while cut + 1 < n / 2 and 1 - 2 * sum(comb(n, i) for i in range(cut + 2)) / 2**n >= COVERAGE:
        cut += 1
    return Ratio(median(ratios), ratios[cut], ratios[n - 1 - cut], n)
