"""Intervals, tests and corrections for differences between arms; what each is for stands in docs/statistics.md.

Pure functions of small arrays. Random draws are keyed, so a number printed today is the number printed tomorrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, stdtr, stdtrit

from spurious.analysis.outcomes import Differences
from spurious.keys import key, uniforms

Floats = NDArray[np.float64]

ROUNDING = 1e-12
"""A spread below this is rounding of equal numbers: outcomes are shares and counts of order one."""

POWER = 0.8
"""The chance at which an effect counts as one that would have been seen."""

EXACT_FLIPS = 16
"""Up to so many signs are enumerated, 2^16 patterns; more are sampled."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its standard error and the degrees of freedom of its t distribution."""

    mean: float
    error: float
    df: float
    basis: Literal["seeds", "problems"] = "seeds"
    """What was resampled in thought: training runs, or only the problems (a statement about these runs)."""

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The two-sided t interval that misses with probability alpha; a point where the error is 0."""
        half = -float(stdtrit(self.df, alpha / 2)) * self.error
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Two-sided p of the t test that the mean is 0; where the error is 0, 1 for a mean of 0 and else 0."""
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return 2 * float(stdtr(self.df, -abs(self.mean) / self.error))


def t_estimate(values: Sequence[float] | Floats, basis: Literal["seeds", "problems"] = "seeds") -> Estimate:
    """Mean of independent values, standard error sd / sqrt(n) with ddof 1, n - 1 degrees of freedom.

    Raises:
        ValueError: fewer than two values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        raise ValueError(f"a spread needs two values, there is {array.size}")
    deviation = float(array.std(ddof=1))
    if deviation <= ROUNDING:
        mean = float(array.mean())
        return Estimate(mean if abs(mean) > ROUNDING else 0.0, 0.0, array.size - 1, basis)
    return Estimate(float(array.mean()), deviation / sqrt(array.size), array.size - 1, basis)


def welch_estimate(a: Estimate, b: Estimate) -> Estimate:
    """The difference of two independent estimates, with Welch and Satterthwaite's degrees of freedom."""
    parts = (a.error**2, b.error**2)
    total = sum(parts)
    df = total**2 / (parts[0] ** 2 / a.df + parts[1] ** 2 / b.df) if total else a.df + b.df
    basis = a.basis if a.basis == b.basis else "problems"
    return Estimate(a.mean - b.mean, sqrt(total), df, basis)


def effect(differences: Differences) -> Estimate:
    """The effect with its uncertainty over seeds, or over problems where seeds say nothing about their spread.

    That is so with one seed, and when all seeds agree to the last digit (nothing moved, or all runs reached the same
    ceiling): an interval of width zero would claim more than the problems allow.

    Raises:
        ValueError: one seed and one problem.
    """
    if len(differences.seeds) > 1:
        over_seeds = t_estimate(differences.by_seed)
        if over_seeds.error > 0 or len(differences.problems) < 2:
            return over_seeds
    return t_estimate(differences.by_problem, "problems")


def interaction(a: Differences, b: Differences) -> Estimate:
    """The effect on model a minus the effect on model b: 'significant here, not there' is not a difference.

    Paired by seed when both models ran the same seeds, which is valid whether or not shared random numbers correlate
    them; where seeds have no spread, as in `effect`, by problem when both answered the same; otherwise Welch's.

    Raises:
        ValueError: a model has one seed and one problem.
    """
    if a.seeds == b.seeds and len(a.seeds) > 1:
        over_seeds = t_estimate(a.by_seed - b.by_seed)
        if over_seeds.error > 0 or len(a.problems) < 2:
            return over_seeds
    if a.seeds == b.seeds and a.problems == b.problems and len(a.problems) > 1:
        return t_estimate(a.by_problem - b.by_problem, "problems")
    return welch_estimate(effect(a), effect(b))


def bootstrap_interval(
    differences: Differences, *, seed: int, confidence: float = 0.95, draws: int = 10_000
) -> tuple[float, float]:
    """Percentile interval of the two-way bootstrap: seeds, paired, and problems, jointly for both arms, resampled.

    With few seeds it is too narrow (docs/calibration.md says by how much); the t interval over seeds is not.
    """
    values = differences.values
    n_seeds, n_problems = values.shape
    chunk = max(1, 1_000_000 // n_problems)
    means = []
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        picked = _indices(key(seed, "bootstrap", "seeds", start), size, n_seeds)
        columns = _indices(key(seed, "bootstrap", "problems", start), size, n_problems)
        weights = (picked[:, :, None] == np.arange(n_seeds)).mean(axis=1)
        means.append(np.take_along_axis(weights @ values, columns, axis=1).mean(axis=1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


@lru_cache(maxsize=8)
def _indices(stream: int, rows: int, n: int) -> NDArray[np.int64]:
    """Eight megabytes at most; all comparisons of a family resample alike."""
    return (uniforms(stream, rows * n).reshape(rows, n) * n).astype(np.int64)


def sign_flip_p(values: Sequence[float] | Floats, *, seed: int, draws: int = 10_000) -> float:
    """Two-sided p that signs are arbitrary: the share of sign patterns whose |mean| is at least the observed one.

    Exact for up to 16 values, whose smallest possible p is 2 / 2^n; otherwise from keyed draws, the observed pattern
    counted once among them (Phipson and Smyth 2010), so that p is never 0.
    """
    array = np.asarray(values, dtype=np.float64)
    observed = abs(array.sum()) - ROUNDING * array.size
    if array.size <= EXACT_FLIPS:
        half = np.array(list(product((1.0, -1.0), repeat=array.size - 1))).reshape(2 ** (array.size - 1), -1)
        return float(np.mean(np.abs(array[0] + half @ array[1:]) >= observed))
    chunk = max(1, 1_000_000 // array.size)
    hits = 0
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        signs = _signs(key(seed, "sign-flip", start), size, array.size)
        hits += int(np.sum(np.abs(signs @ array) >= observed))
    return (hits + 1) / (draws + 1)


@lru_cache(maxsize=8)
def _signs(stream: int, rows: int, n: int) -> Floats:
    return np.where(uniforms(stream, rows * n).reshape(rows, n) < 0.5, -1.0, 1.0)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: comparing them with alpha keeps the family-wise error at alpha, however dependent."""
    adjusted = [0.0] * len(ps)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        running = max(running, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = running
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values, for exploration: the expected share of false discoveries."""
    adjusted = [0.0] * len(ps)
    running = 1.0
    for rank, index in reversed(list(enumerate(sorted(range(len(ps)), key=ps.__getitem__), start=1))):
        running = min(running, len(ps) / rank * ps[index])
        adjusted[index] = running
    return adjusted


def equivalence_p(estimate: Estimate, margin: float) -> float:
    """P of TOST (Schuirmann 1987): the larger one-sided p of 'below -margin' and 'above +margin'.

    At most alpha exactly when the 1 - 2 alpha interval lies within the margin.
    """
    if margin <= 0:
        raise ValueError(f"an equivalence margin is positive, not {margin}")
    room = margin - abs(estimate.mean)
    if estimate.error == 0:
        return 0.0 if room >= 0 else 1.0
    return float(stdtr(estimate.df, -room / estimate.error))


def detectable_effect(estimate: Estimate, *, alpha: float = 0.05) -> float:
    """The effect that a two-sided t test at `alpha` would have seen in 80 % of such comparisons, at this spread."""
    return _detectable_errors(estimate.df, alpha) * estimate.error


@lru_cache(maxsize=4096)
def _detectable_errors(df: float, alpha: float) -> float:
    """The noncentrality at which t exceeds its critical value c with probability `POWER`.

    P(Z + shift > c W), W^2 = chi^2 / df, integrated over Z: SciPy's noncentral t gives NaN for the extreme c of early
    looks. The other tail adds less than 1e-6 and is left out.
    """
    critical = -float(stdtrit(df, alpha / 2))
    z = np.linspace(-8, 8, 2001)
    density = np.exp(-(z**2) / 2)
    density /= density.sum()

    from scipy.optimize import brentq  # half a second that most commands do without

    def shortfall(shift: float) -> float:
        return POWER - float(chdtr(df, df * (np.maximum(shift + z, 0) / critical) ** 2) @ density)

    return float(brentq(shortfall, 0.0, 2 * critical + 3))
