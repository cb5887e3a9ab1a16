"""The smallest policy that clipping can act on: two arms, one parameter, and a reward that knows nothing.

The setting of Oertell et al. 2025 ('Heuristics Considered Harmful'): arm 1 has probability p = sigma(z), rewards are 1
with probability gamma whatever the arm, and z follows the estimator's gradient. Their text states sigma(z0) = .7,
A = (r - .5) / .5 and 500 steps; samples, inner updates, learning rate and optimizer it does not. Here they are
settings, and the optimizer is plain gradient ascent.

A step draws `samples` pulls from the policy as it is (the old policy) and updates z on them. With two arms and two
rewards the gradient needs only how many pulls fell into each of four cells, so arrays are (4, ...), in this order:
arm 1 paid, arm 1 not paid, arm 0 paid, arm 0 not paid.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spurious.errors import InputError
from spurious.keys import key, uniforms

Floats = NDArray[np.float64]

Estimator = Literal["reinforce", "rloo", "grpo", "grpo_group"]
"""How rewards become a gradient. The four differ in more than the scale of the learning rate:

reinforce    A grad log pi with A = (r - gamma) / sqrt(gamma (1 - gamma)), the reward's true mean and deviation
rloo         A grad log pi with A = r - mean of the step's other rewards
grpo         grad min(R A, clip(R) A) with R = pi / pi_old and A as for reinforce: what Oertell et al. call GRPO. It is
             GRPO in the limit of large groups, and up to a factor PPO with a critic that has learned gamma
grpo_group   the same with A = (r - mean) / std of the step's own rewards, std with n - 1 in the denominator. As there
             is one prompt, a baseline over the batch is the same thing

The first two have no ratio to correct for the age of a sample: they take one update a step and have no bounds.
"""

MARKS = 50
"""A simulation records its paths at the start and at so many later steps, at most."""

TINY = float(np.finfo(np.float64).tiny)

CHUNK = 8_000_000
"""Draws in memory at once; seeds are simulated in chunks of so many, which changes no result."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One arm of the comparison; the defaults of what Oertell et al. leave open are ours.

    Raises:
        InputError: a value is out of range, or two of them contradict each other.
    """

    estimator: Estimator = "grpo"
    p0: float = 0.7
    """Probability of arm 1 before training."""
    gamma: float = 0.5
    """Probability of a reward of 1."""
    steps: int = 500
    samples: int = 16
    """Pulls in one step, n."""
    updates: int = 20
    """Updates of z on the pulls of one step, M; `reinforce` and `rloo` take one."""
    split: bool = False
    """Deal the pulls out to the updates, n / M each, as the trainer does; else every update sees all of them."""
    lr: float = 0.25
    clip_low: float | None = 0.2
    """R is clipped below at 1 - clip_low where A < 0; None: no lower bound at all."""
    clip_high: float | None = 0.2
    """R is clipped above at 1 + clip_high where A > 0; None: no upper bound at all."""

    def __post_init__(self) -> None:
        if not 0 < self.p0 < 1:
            raise InputError(f"p0: {self.p0} is not between 0 and 1")
        if not 0 <= self.gamma <= 1:
            raise InputError(f"gamma: {self.gamma} is not a probability")
        for name in ("steps", "samples", "updates"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)} is below 1")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise InputError(f"lr: {self.lr} is not a finite number above 0")
        if self.clip_low is not None and not 0 <= self.clip_low <= 1:
            raise InputError(f"clip_low: {self.clip_low} is neither none nor from 0 to 1")
        if self.clip_high is not None and not 0 <= self.clip_high < math.inf:
            raise InputError(f"clip_high: {self.clip_high} is neither none nor a finite number from 0 on")
        if self.estimator in ("rloo", "grpo_group") and self.samples < 2:
            raise InputError(f"samples: {self.estimator} compares the rewards of a step, so it takes at least 2")
        if self.has_ratio and self.split and self.samples % self.updates:
            raise InputError(f"samples: {self.samples} cannot be dealt out to {self.updates} updates evenly")

    @property
    def has_ratio(self) -> bool:
        """Whether the gradient has a ratio, and so several updates a step and bounds."""
        return self.estimator in ("grpo", "grpo_group")

    @property
    def passes(self) -> int:
        """Updates a step that are really taken."""
        return self.updates if self.has_ratio else 1

    @property
    def parts(self) -> int:
        """Into how many parts the pulls of a step are dealt."""
        return self.passes if self.split else 1


@dataclass(frozen=True, slots=True)
class Simulation:
    """What became of the policy, seed by seed."""

    settings: Settings
    final: Floats
    """(seeds,) probability of arm 1 after the last step."""
    marks: tuple[int, ...]
    """Steps at which the paths were recorded: 0, the last, and evenly spaced ones between."""
    mean: Floats
    """(marks,) mean over seeds of the probability of arm 1."""
    median: Floats
    """(marks,) median of it."""
    clipped_low: float
    """Share of pulls in updates whose gradient the lower bound took away."""
    clipped_high: float
    """The same of the upper bound."""


def simulate(settings: Settings, seeds: Sequence[int]) -> Simulation:
    """Train one policy a seed and return where they ended.

    A seed's pulls and rewards are keyed by the seed alone, so its result does not depend on the other seeds, and two
    settings with the same number of samples see the same noise. A run of fewer steps is a prefix of a longer one.

    Raises:
        InputError: no seeds.
    """
    if not seeds:
        raise InputError("seeds: at least one is needed")
    marks = tuple(sorted({round(settings.steps * i / MARKS) for i in range(MARKS + 1)}))
    size = max(1, CHUNK // (settings.steps * settings.samples))
    chunks = [_paths(settings, seeds[i : i + size], marks) for i in range(0, len(seeds), size)]
    paths = np.concatenate([path for path, _ in chunks], axis=1)
    trained = len(seeds) * settings.steps * settings.passes * (settings.samples // settings.parts)
    low, high = np.stack([removed for _, removed in chunks]).sum(axis=0) / trained
    return Simulation(
        settings=settings,
        final=paths[-1],
        marks=marks,
        mean=paths.mean(axis=1),
        median=np.median(paths, axis=1),
        clipped_low=float(low),
        clipped_high=float(high),
    )


def _paths(settings: Settings, seeds: Sequence[int], marks: tuple[int, ...]) -> tuple[Floats, Floats]:
    """(marks, seeds) probabilities of arm 1, and how many gradients the lower and the upper bound took away, (2,)."""
    n, shape = settings.samples, (len(seeds), settings.steps, settings.samples)
    choice, paid = np.empty(shape), np.empty(shape, dtype=bool)
    for row, seed in enumerate(seeds):
        choice[row] = uniforms(key(seed, "bandit", "arm"), settings.steps * n).reshape(shape[1:])
        paid[row] = uniforms(key(seed, "bandit", "reward"), settings.steps * n).reshape(shape[1:]) < settings.gamma
    z = np.full(len(seeds), math.log(settings.p0) - math.log1p(-settings.p0))
    paths, removed = [], np.zeros(2)
    for step in range(settings.steps + 1):
        if step in marks:
            paths.append(both_arms(z)[0])
        if step < settings.steps:
            one = choice[:, step] < both_arms(z)[0][:, None]
            yes = paid[:, step]
            cells = np.stack([one & yes, one & ~yes, ~one & yes, ~one & ~yes])
            counts = cells.reshape(4, len(seeds), settings.parts, -1).sum(axis=-1, dtype=np.float64)
            z, lost = learn(z, counts.transpose(2, 0, 1), settings)
            removed += lost
    return np.stack(paths), removed


def learn(z: Floats, counts: Floats, settings: Settings) -> tuple[Floats, Floats]:
    """One step of N policies: their (N,) parameters after all updates on (parts, 4, N) counts of pulls.

    Also returns (2,) numbers of gradients that the lower and the upper bound took away.
    """
    weights = credit(counts, settings)
    pulls = np.where(weights != 0, counts, 0.0)  # an advantage of 0 has no gradient to take away
    old, removed = both_arms(z), np.zeros(2)
    for update in range(settings.passes):
        part = update % settings.parts
        step, lost = gradient(z, old, weights[part], settings)
        z = z + settings.lr * step
        if settings.has_ratio:
            gone = (pulls[part] * lost).sum(axis=1)
            removed += (gone[1] + gone[3], gone[0] + gone[2])
    return z, removed


def credit(counts: Floats, settings: Settings) -> Floats:
    """(parts, 4, N) sums of advantages over the pulls of each cell, divided by the number of pulls in an update."""
    paid = counts[:, 0::2].sum(axis=(0, 1))  # of the whole step: the parts of one step share their baseline
    n, gamma = settings.samples, settings.gamma
    if settings.estimator == "rloo":
        good, bad = (n - paid) / (n - 1), -paid / (n - 1)
    else:
        if settings.estimator == "grpo_group":
            mean, variance = paid / n, paid * (n - paid) / (n * (n - 1))
        else:
            mean, variance = np.full_like(paid, gamma), np.full_like(paid, gamma * (1 - gamma))
        scale = np.divide(1.0, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0)
        good, bad = (1 - mean) * scale, -mean * scale
    weights: Floats = counts * np.stack([good, bad, good, bad]) / (n / settings.parts)
    return weights


def gradient(
    z: Floats, old: tuple[Floats, Floats], weights: Floats, settings: Settings
) -> tuple[Floats, NDArray[np.bool_]]:
    """(N,) derivatives of the objective by z, and which cells the bounds silence, (4, N).

    `old` is `both_arms` of the old policy; `weights` (4, N) are of `credit`. As only cells that were paid have A > 0,
    the upper bound acts on these and the lower one on the others; a ratio exactly on its bound keeps its gradient.
    """
    p, q = both_arms(z)
    if not settings.has_ratio:
        return q * (weights[0] + weights[1]) - p * (weights[2] + weights[3]), np.zeros(weights.shape, dtype=bool)
    low = 0.0 if settings.clip_low is None else 1 - settings.clip_low
    high = math.inf if settings.clip_high is None else 1 + settings.clip_high
    lost = np.stack([p > high * old[0], p < low * old[0], q > high * old[1], q < low * old[1]])
    kept = np.where(lost, 0.0, weights)
    # R d log pi / dz is p q / p_old on arm 1 and - p q / q_old on arm 0.
    return p * q * ((kept[0] + kept[1]) / old[0] - (kept[2] + kept[3]) / old[1]), lost


def both_arms(z: Floats) -> tuple[Floats, Floats]:
    """(N,) probabilities of arm 1 and of arm 0, each with full relative precision and above 0, so that ratios exist."""
    with np.errstate(over="ignore"):
        return np.maximum(1 / (1 + np.exp(-z)), TINY), np.maximum(1 / (1 + np.exp(z)), TINY)
