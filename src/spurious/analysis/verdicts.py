"""What an audit concludes, as data: the word, the numbers it came from, and the sentences that say them."""

from dataclasses import dataclass
from typing import Literal

from spurious.analysis.outcomes import Differences

Word = Literal["earned", "elicited", "worse", "indistinguishable", "underpowered"]
"""What a reward did beyond its matched placebo; docs/statistics.md has the rule."""

Sign = Literal["+", "-", "equivalent", "undecided"]
"""One model's part: better than the placebo, worse, the same within the margin, or not known."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one model brings to an audit."""

    differences: Differences
    """The audited reward minus its `shuffled` placebo, never minus the base."""
    margin: float | None
    """The effect below which the reward counts as doing nothing; None: there is nothing to measure it by."""


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """One model's effect with its uncertainty."""

    model: str
    sign: Sign
    difference: float
    """Mean over seeds and problems, treatment minus placebo, in units of the outcome."""
    interval: tuple[float, float]
    """At the verdict's `confidence`, this model alone."""
    p: float
    level: float
    """What Holm's procedure asked of p; `p <= level` is significance."""
    equivalence_interval: tuple[float, float]
    """At the verdict's `equivalence_confidence`."""
    margin: float | None
    within_margin: bool
    gain_excluded: bool
    """Whether `equivalence_interval` lies below the margin (below 0 without one): the reward is shown not to help."""
    detectable: float
    """The effect that 80 % of such audits would have called significant."""
    basis: Literal["seeds", "problems"]
    n_problems: int
    by_seed: tuple[tuple[int, float], ...]
    """Every seed and its difference."""


@dataclass(frozen=True, slots=True)
class InteractionVerdict:
    """The effect on one model minus the effect on another."""

    models: tuple[str, str]
    difference: float
    interval: tuple[float, float]
    p: float
    level: float

    @property
    def significant(self) -> bool:
        """Whether Holm's procedure over all pairs of models rejects 'the same effect on both'."""
        return self.p <= self.level


@dataclass(frozen=True, slots=True)
class Wording:
    """What the sentences call things that only the caller knows; an audit by default."""

    placebo: str = "its own rewards shuffled"
    no_margin: str = "ground truth did not gain"
    """Why there is no margin, where there is none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion of an audit."""

    word: Word
    models: tuple[ModelVerdict, ...]
    interactions: tuple[InteractionVerdict, ...]
    """All pairs of models."""
    alpha: float
    """The error each family of tests keeps, over all looks together."""
    confidence: float
    """Of the intervals: 0.95 for one look, more where several looks share the error."""
    equivalence_confidence: float
    """0.90 for one look."""
    looks: tuple[int, ...]
    """Seeds at each planned look; empty for an audit that looks once."""
    next_look: int | None
    """How many seeds to have before asking again; None: decided, or the last look."""
    wording: Wording
    sentences: tuple[str, ...]
    """The verdict in plain words, its numbers, and what to keep in mind."""
