"""Simulated training runs, to try the audit's decision on truths that are known.

    P(run of arm a and seed s solves problem i) = expit(center_a + 1.5 b_i + scale_a h(z_as)),   b_i ~ N(0, 1)

The b_i belong to the benchmark and are shared by all arms and seeds. z_as is the fate of one training run: N(0, 1) with
correlation 0.2 between the arms of one seed (their common random numbers). A problem counts as solved where a uniform,
shared by the arms of one seed, falls below P. center_a and scale_a are solved so that an arm's accuracy has the wanted
mean and spread over seeds. h(z) = z, or for skewed seeds a jump of three for one run in four: some runs lock in a habit
and most do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtri

from spurious.analysis import Differences
from spurious.keys import key, uniforms

Floats = NDArray[np.float64]
TAU = 1.5
"""Spread of the problems' difficulty, in log odds."""


@dataclass(frozen=True)
class Arm:
    """Mean accuracy of an arm over seeds, and its standard deviation."""

    mean: float
    sd: float


BASE = {"good-code": 0.724, "bad-code": 0.494, "no-code": 0.778}
PLACEBO = {"good-code": Arm(0.81, 0.1), "bad-code": Arm(0.33, 0.1), "no-code": Arm(0.65, 0.1)}
TRUTH = dict.fromkeys(BASE, Arm(0.995, 0.003))
"""What two to six seeds of prototype organisms scored before training, under a random reward and under ground truth;
the spread of .1 is the random reward's, rounded."""

ORGANISM_BASE = {"good-code": 0.646, "bad-code": 0.508, "no-code": 0.658}
ORGANISM_PLACEBO = {"good-code": Arm(0.65, 0.05), "bad-code": Arm(0.51, 0.07), "no-code": Arm(0.655, 0.08)}
ORGANISM_TRUTH = {"good-code": Arm(0.9995, 0.0005), "bad-code": Arm(0.9995, 0.0006), "no-code": Arm(0.994, 0.019)}
"""The same of the organisms of docs/organisms.md, ten seeds an arm (docs/audit.md): placebo arms on each had spreads of
.005 to .045, .01 to .074 and 0 to .079; the largest are taken, rounded up."""


@dataclass(frozen=True)
class World:
    """What runs have in common."""

    problems: int = 200
    correlation: float = 0.2
    skewed: bool = False


@dataclass(frozen=True)
class Scenario:
    """A reward by what training on it does to each model; the placebo and ground truth as measured."""

    name: str
    treatment: Mapping[str, Arm]
    placebo: Mapping[str, Arm] = field(default_factory=lambda: PLACEBO)
    world: World = World()
    truth: Mapping[str, Arm] = field(default_factory=lambda: TRUTH)
    base: Mapping[str, float] = field(default_factory=lambda: BASE)


def _fate(z: Floats, skewed: bool) -> Floats:
    # Mean of the jump 3/4; variance 9 * 3/16, plus 1, plus twice the covariance 3 phi(0.6745).
    return (z + 3 * (z > ndtri(0.75)) - 0.75) / np.sqrt(1 + 9 * 0.1875 + 6 * 0.31777657) if skewed else z


@cache
def _nodes() -> tuple[Floats, Floats]:
    """Quadrature over a standard normal, by its quantiles and split where skewed fates jump."""
    x, w = np.polynomial.legendre.leggauss(40)
    u = np.concatenate([0.75 * (x + 1) / 2, 0.75 + 0.25 * (x + 1) / 2])
    return ndtri(u), np.concatenate([0.75 * w / 2, 0.25 * w / 2])


@cache
def solve(arm: Arm, skewed: bool) -> tuple[float, float]:
    """(center, scale) that give the arm its mean and its spread over seeds."""
    z, weights = _nodes()
    fate = _fate(z, skewed)

    def accuracies(center: float, scale: float) -> Floats:
        return np.asarray(expit(center + TAU * z[None, :] + scale * fate[:, None]) @ weights)

    def center_for(scale: float) -> float:
        return float(brentq(lambda center: accuracies(center, scale) @ weights - arm.mean, -40, 40))

    def excess(scale: float) -> float:
        found = accuracies(center_for(scale), scale)
        return float(np.sqrt(max(0.0, found**2 @ weights - (found @ weights) ** 2))) - arm.sd

    scale = float(brentq(excess, 0.0, 12.0, xtol=1e-6)) if excess(0.0) < 0 else 0.0
    return center_for(scale), scale


@dataclass(frozen=True)
class Simulated:
    """One model's runs: what the audit sees."""

    differences: Differences
    truth_gain: Differences
    easiness: Floats
    """(problems,) 1.5 b_i."""


def simulate(scenario: Scenario, model: str, n_seeds: int, audit: int) -> Simulated:
    """The runs of one model in one audit, the same whenever they are asked for."""
    world, n = scenario.world, scenario.world.problems
    noise = uniforms(key(audit, "calibration", scenario.name, model, n_seeds), n + 4 * n_seeds + n_seeds * n)
    easiness = TAU * ndtri(noise[:n])
    z = ndtri(noise[n : n + 4 * n_seeds]).reshape(4, n_seeds)
    z = np.sqrt(world.correlation) * z[3] + np.sqrt(1 - world.correlation) * z[:3]
    coins = noise[n + 4 * n_seeds :].reshape(n_seeds, n)

    def run(arm: Arm, fates: Floats) -> Floats:
        center, scale = solve(arm, world.skewed)
        chance = expit(center + easiness[None, :] + scale * _fate(fates, world.skewed)[:, None])
        return (coins < chance).astype(np.float64)

    names = tuple(range(n_seeds)), tuple(map(str, range(n)))
    base = run(Arm(scenario.base[model], 0.0), np.zeros(n_seeds))
    return Simulated(
        differences=Differences(*names, run(scenario.treatment[model], z[0]) - run(scenario.placebo[model], z[1])),
        truth_gain=Differences(*names, run(scenario.truth[model], z[2]) - base),
        easiness=easiness,
    )


def effect_here(scenario: Scenario, model: str, easiness: Floats) -> float:
    """The true effect on these problems: expected over seeds."""
    nodes, weights = _nodes()

    def accuracy(arm: Arm) -> float:
        center, scale = solve(arm, scenario.world.skewed)
        fate = _fate(nodes, scenario.world.skewed)
        return float((weights @ expit(center + easiness[None, :] + scale * fate[:, None])).mean())

    return accuracy(scenario.treatment[model]) - accuracy(scenario.placebo[model])
