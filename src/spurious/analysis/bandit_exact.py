"""The two-arm bandit without chance: every outcome with its probability, the clip bias in closed form, and bands.

See `spurious.analysis.bandit` for the setting. Nothing here is sampled, so nothing has an error bar.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np

from spurious.analysis.bandit import Floats, Settings, both_arms, credit, gradient, learn
from spurious.errors import InputError

LIMIT = 1_000_000
"""Outcomes that are enumerated at most: the pulls and rewards of all steps together."""

BLOCK = 100_000
"""Outcomes in memory at once."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The probability of arm 1 as a random variable with finitely many values."""

    p: Floats
    """(K,) values, ascending."""
    weight: Floats
    """(K,) their probabilities, which sum to 1."""

    @property
    def mean(self) -> float:
        """The expectation."""
        return float(self.p @ self.weight)

    @property
    def median(self) -> float:
        """The smallest value that at least half of the probability does not exceed."""
        half = 0.5 * self.weight.sum() * (1 - 1e-12)  # a half may round to just below itself
        return float(self.p[np.searchsorted(self.weight.cumsum(), half)])


def exact(settings: Settings, steps: int) -> Distribution:
    """The policy after so many steps, over all pulls and rewards; `settings.steps` does not matter.

    Raises:
        InputError: more than `LIMIT` outcomes.
    """
    if steps > affordable(settings):
        raise InputError(f"steps: {steps} have more than {LIMIT:,} outcomes; {affordable(settings)} can be enumerated")
    counts, ways = outcomes(settings)
    pulls = counts.sum(axis=0)
    z, weight = np.array([math.log(settings.p0) - math.log1p(-settings.p0)]), np.ones(1)
    rows = max(1, BLOCK // len(ways))
    for _ in range(steps):
        blocks = [
            _branch(z[i : i + rows], weight[i : i + rows], counts, pulls, ways, settings)
            for i in range(0, len(z), rows)
        ]
        z, weight = (np.concatenate(column) for column in zip(*blocks, strict=True))
    p, order = both_arms(z)[0], np.argsort(z, kind="stable")
    return Distribution(p[order], weight[order])


def _branch(
    z: Floats, weight: Floats, counts: Floats, pulls: Floats, ways: Floats, settings: Settings
) -> tuple[Floats, Floats]:
    chances = weight[:, None] * _chances(z, pulls, ways, settings)
    moved, _ = learn(np.repeat(z, len(ways)), np.tile(counts, len(z)), settings)
    return moved, chances.ravel()


def _chances(z: Floats, pulls: Floats, ways: Floats, settings: Settings) -> Floats:
    """(S, K) probabilities of K outcomes under S policies; `pulls` (4, K) counts what fell into each cell."""
    p, q = (arm[:, None] for arm in both_arms(z))
    gamma = settings.gamma
    rewards = gamma ** (pulls[0] + pulls[2]) * (1 - gamma) ** (pulls[1] + pulls[3])
    chances: Floats = ways * rewards * p ** (pulls[0] + pulls[1]) * q ** (pulls[2] + pulls[3])
    return chances


def outcomes(settings: Settings) -> tuple[Floats, Floats]:
    """All K outcomes of one step: (parts, 4, K) counts, and in how many orders of the pulls each one comes, (K,)."""
    size = settings.samples // settings.parts
    one = [tuple(cells.count(cell) for cell in range(4)) for cells in combinations_with_replacement(range(4), size)]
    ways = [math.factorial(size) / math.prod(map(math.factorial, counts)) for counts in one]
    steps = list(product(range(len(one)), repeat=settings.parts))
    counts = np.array([[one[i] for i in step] for step in steps], dtype=np.float64)
    return counts.transpose(1, 2, 0), np.array([math.prod(ways[i] for i in step) for step in steps])


def affordable(settings: Settings) -> int:
    """How many steps `exact` can enumerate; 0 where even one has too many outcomes."""
    size = settings.samples // settings.parts
    per_step = math.comb(size + 3, 3) ** settings.parts
    return int(math.log(LIMIT) / math.log(per_step) + 1e-9)


def expected_gradient(p: float, p_old: float, settings: Settings) -> float:
    """E[d objective / dz] at sigma(z) = p, enumerated over the pulls of one step from p_old and their rewards.

    The policy at p does not depend on these pulls: the assumption of the paper's appendix B.1.2, met by a part of the
    step that no earlier update has seen.
    """
    counts, ways = outcomes(settings)
    z, old = (np.full(len(ways), math.log(x) - math.log1p(-x)) for x in (p, p_old))
    slopes, _ = gradient(z, both_arms(old), credit(counts, settings)[0], settings)
    return float(_chances(old[:1], counts.sum(axis=0), ways, settings)[0] @ slopes)


def clip_bias(p: float, p_old: float, settings: Settings) -> float:
    """E[gradient with the bounds] - E[gradient without] for `grpo`, in closed form: mu p (1 - p) (s1 - s0).

    The paper's formula on two arms: mu = sqrt(gamma (1 - gamma)), and s is 1 where an arm's ratio is below its band, -1
    above and 0 inside. One arm's rise is the other's fall, so both bands act on p.
    """
    own = _side(p, p_old, settings.clip_low, settings.clip_high)
    other = _side(1 - p, 1 - p_old, settings.clip_low, settings.clip_high)
    return math.sqrt(settings.gamma * (1 - settings.gamma)) * p * (1 - p) * (own - other)


def _side(p: float, p_old: float, clip_low: float | None, clip_high: float | None) -> int:
    if clip_low is not None and p < p_old * (1 - clip_low):
        return 1
    return -1 if clip_high is not None and p > p_old * (1 + clip_high) else 0


@dataclass(frozen=True, slots=True)
class Band:
    """Between which probabilities the clip leaves a completion alone, as in the paper's worked example."""

    p_old: float
    low: float
    high: float
    reachable: bool
    """Whether a probability can exceed the upper end; if not, the completion's own term never pushes it down."""
    up_below: float
    """With one other arm that holds the rest: below this p the bias of both arms together pushes p up."""
    down_above: float
    """And above this one it pushes p down; 1 or more where no p is."""

    @property
    def sign(self) -> str:
        """The sign of the completion's own term in the bias, over the probabilities it can have."""
        below = "+ below" if self.low > 0 else ""
        return ", ".join(part for part in (below, "- above" if self.reachable else "never -") if part)


def band(p_old: float, eps: float) -> Band:
    """The band [p_old (1 - eps), p_old (1 + eps)] of a completion of old probability `p_old`.

    Raises:
        InputError: `p_old` is not strictly between 0 and 1, or `eps` not from 0 to 1.
    """
    if not 0 < p_old < 1:
        raise InputError(f"p_old: {p_old} is not between 0 and 1")
    if not 0 <= eps <= 1:
        raise InputError(f"eps: {eps} is not from 0 to 1")
    low, high, rest = p_old * (1 - eps), p_old * (1 + eps), 1 - p_old
    return Band(
        p_old=p_old,
        low=low,
        high=high,
        reachable=high < 1,
        up_below=max(low, 1 - rest * (1 + eps)),
        down_above=min(high, 1 - rest * (1 - eps)),
    )
