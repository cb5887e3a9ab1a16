"""Treatment against placebo in full: every number a report prints, for one model or for a declared family."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from spurious.analysis.outcomes import Differences, Outcomes, paired_differences
from spurious.analysis.signs import Signs, median_interval, signs
from spurious.analysis.statistics import (
    Estimate,
    benjamini_hochberg,
    bootstrap_interval,
    detectable_effect,
    effect,
    equivalence_p,
    holm,
    interaction,
    sign_flip_p,
)


@dataclass(frozen=True, slots=True)
class Equivalence:
    """TOST: whether 'no effect' may be said."""

    margin: float
    """Declared beforehand, in units of the outcome."""
    interval: tuple[float, float]
    """The 90 % interval."""
    p: float

    @property
    def shown(self) -> bool:
        """Whether the effect lies within the margin, at 5 %."""
        return self.p <= 0.05


@dataclass(frozen=True, slots=True)
class Components:
    """The squared standard error of a difference, by where it comes from; negative estimates are cut at 0.

    Method of moments in the crossed layout seeds x problems, both random. None: not told apart by these data.
    """

    question: float | None
    """Which problems the benchmark happens to hold."""
    rollout: float | None
    """Sampling of completions, if the arms were sampled independently; an upper bound with shared random numbers."""
    seed: float | None
    """Which training runs happened to be made."""
    rest: float | None
    """Seeds that differ in which problems they solve, and rollout noise where it is not known."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treatment minus placebo on one model and benchmark."""

    scope: Literal["method", "this run only"]
    """With one seed every number is about this pair of runs and none about the method."""
    n_seeds: int
    n_problems: int
    treatment: float
    """Mean outcome over seeds and problems."""
    placebo: float
    difference: float
    by_seed: tuple[tuple[int, float], ...]
    """Every seed and its difference."""
    median: float
    """Over seeds, of their differences."""
    median_interval: tuple[float, float] | None
    """At least 95 %, from order statistics; None with fewer than six seeds."""
    signs: Signs
    """How many seeds went up and down, and the sign test."""
    interval: tuple[float, float] | None
    """95 % t interval, over seeds, or over problems where `basis` says so; None with one seed and one problem."""
    basis: Literal["seeds", "problems"]
    bootstrap: tuple[float, float] | None
    """95 % two-way bootstrap over seeds and problems; too narrow for few seeds. None with one seed."""
    p: float | None
    """Of the t test that belongs to `interval`."""
    p_flip_seeds: float | None
    """Sign-flip permutation over seeds; None with one seed. Its smallest value is 2 / 2^n."""
    p_flip_problems: float
    """Sign-flip permutation over problems: about these runs only."""
    detectable: float | None
    """The effect that 80 % of such comparisons would have called significant at 5 %."""
    equivalence: Equivalence | None
    """None without a declared margin."""
    components: Components


@dataclass(frozen=True, slots=True)
class Contrast:
    """The effect on one model minus the effect on another."""

    models: tuple[str, str]
    difference: float
    interval: tuple[float, float]
    p: float
    basis: Literal["seeds", "problems"]


@dataclass(frozen=True, slots=True)
class Family:
    """Comparisons that were declared together, corrected for their number."""

    comparisons: dict[str, Comparison]
    adjusted: dict[str, float]
    """Adjusted p-values, by Holm (confirmatory) or by Benjamini and Hochberg (exploratory)."""
    correction: Literal["holm", "benjamini-hochberg"]
    contrasts: tuple[Contrast, ...]
    """All pairs, uncorrected."""


def compare(
    treatment: Outcomes,
    placebo: Outcomes,
    *,
    seed: int,
    margin: float | None = None,
    draws: int = 10_000,
    where: str = "the comparison",
) -> Comparison:
    """Everything about treatment minus placebo, paired by seed and problem.

    Args:
        treatment: outcomes of the audited arm.
        placebo: outcomes of its control, with the same seeds and problems.
        seed: of the bootstrap and permutation draws.
        margin: largest effect that counts as none, declared before looking.
        draws: bootstrap and permutation draws.
        where: how messages call this comparison.

    Raises:
        DataError: the arms do not have the same seeds and problems.
    """
    differences = paired_differences(treatment, placebo, where=where)
    n_seeds, n_problems = differences.values.shape
    estimate = effect(differences) if max(n_seeds, n_problems) > 1 else None
    many = n_seeds > 1
    return Comparison(
        scope="method" if many else "this run only",
        n_seeds=n_seeds,
        n_problems=n_problems,
        treatment=float(treatment.means.mean()),
        placebo=float(placebo.means.mean()),
        difference=differences.mean,
        by_seed=tuple(zip(differences.seeds, map(float, differences.by_seed), strict=True)),
        median=float(np.median(differences.by_seed)),
        median_interval=median_interval(differences.by_seed),
        signs=signs(differences.by_seed),
        interval=estimate.interval() if estimate else None,
        basis=estimate.basis if estimate else "problems",
        bootstrap=bootstrap_interval(differences, seed=seed, draws=draws) if many else None,
        p=estimate.p if estimate else None,
        p_flip_seeds=sign_flip_p(differences.by_seed, seed=seed, draws=draws) if many else None,
        p_flip_problems=sign_flip_p(differences.by_problem, seed=seed, draws=draws),
        detectable=detectable_effect(estimate) if estimate else None,
        equivalence=_equivalence(estimate, margin) if estimate and margin is not None else None,
        components=components(differences),
    )


def compare_family(
    arms: Mapping[str, tuple[Outcomes, Outcomes]],
    *,
    seed: int,
    margin: float | None = None,
    draws: int = 10_000,
    correction: Literal["holm", "benjamini-hochberg"] = "holm",
) -> Family:
    """Compare treatment and placebo of every member (a model, or a model on a benchmark) and correct for their number.

    A member without a p-value (one seed on one problem) counts in the family with p = 1. One-seed members are
    corrected like the others, and stay statements about their run.

    Raises:
        DataError: the arms of a member do not have the same seeds and problems.
    """
    comparisons = {
        name: compare(treatment, placebo, seed=seed, margin=margin, draws=draws, where=name)
        for name, (treatment, placebo) in arms.items()
    }
    ps = [1.0 if item.p is None else item.p for item in comparisons.values()]
    corrected = holm(ps) if correction == "holm" else benjamini_hochberg(ps)
    differences = {name: paired_differences(*pair, where=name) for name, pair in arms.items()}
    known = [name for name, item in comparisons.items() if item.p is not None]
    contrasts = tuple(_contrast(a, b, differences) for a, b in combinations(known, 2))
    return Family(comparisons, dict(zip(comparisons, corrected, strict=True)), correction, contrasts)


def components(differences: Differences) -> Components:
    """The variance of the mean difference, by source: question, rollout, training seed, and the rest."""
    values = differences.values
    n_seeds, n_problems = values.shape
    cells = n_seeds * n_problems
    noise = differences.noise
    if n_seeds == 1 or n_problems == 1:
        rollout = None if noise is None else noise / cells
        return Components(question=None, rollout=rollout, seed=None, rest=None)
    by_seed, by_problem = values.mean(axis=1), values.mean(axis=0)
    residual = values - by_seed[:, None] - by_problem[None, :] + values.mean()
    error = float(np.sum(residual**2)) / ((n_seeds - 1) * (n_problems - 1))
    seed = max(0.0, float(by_seed.var(ddof=1)) - error / n_problems) / n_seeds
    question = max(0.0, float(by_problem.var(ddof=1)) - error / n_seeds) / n_problems
    rollout = None if noise is None else min(noise, error) / cells
    return Components(question=question, rollout=rollout, seed=seed, rest=error / cells - (rollout or 0.0))


def _equivalence(estimate: Estimate, margin: float) -> Equivalence:
    return Equivalence(margin, estimate.interval(0.10), equivalence_p(estimate, margin))


def _contrast(a: str, b: str, differences: Mapping[str, Differences]) -> Contrast:
    estimate = interaction(differences[a], differences[b])
    return Contrast((a, b), estimate.mean, estimate.interval(), estimate.p, estimate.basis)
