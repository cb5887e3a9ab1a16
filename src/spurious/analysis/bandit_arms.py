"""The arms of the two-arm comparison side by side, in numbers, and what Oertell et al. 2025 say about them.

`spurious.analysis.bandit` is one arm of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from spurious.analysis.bandit import Estimator, Floats, Settings, Simulation
from spurious.errors import InputError

BINS = 20
"""Bins of the histogram of final probabilities, of equal width on [0, 1]."""

CENTERED = 0.02
"""How near p0 a mean or a median still counts as 'stays'; ours, as the text that claims it has no number."""


def arms(base: Settings, estimators: Sequence[Estimator], small_clip: float) -> dict[str, Settings]:
    """Settings to compare by name: `base` under every estimator, those with a ratio under several bounds.

    Beside the bounds of `base`: both at `small_clip`, each alone, and none. REINFORCE appears a second time with its
    learning rate times the number of updates, because GRPO takes so many more.

    Raises:
        InputError: `small_clip` is not below the bounds it replaces, or the settings do not suit an estimator.
    """
    for name in ("clip_low", "clip_high"):
        bound = getattr(base, name)
        if bound is not None and not 0 <= small_clip < bound:
            raise InputError(f"small_clip: {small_clip} is not from 0 to below {name}, {bound}")
    named: dict[str, Settings] = {}
    for estimator in estimators:
        one = replace(base, estimator=estimator)
        if one.has_ratio:
            named |= {f"{estimator}, {words}": arm for words, arm in _bounds(one, small_clip)}
        else:
            named[estimator] = one
            if one.updates > 1:
                named[f"{estimator}, lr x {one.updates}"] = replace(one, lr=one.lr * one.updates)
    return named


def _bounds(base: Settings, small: float) -> Iterator[tuple[str, Settings]]:
    low, high = base.clip_low, base.clip_high
    if low is not None or high is not None:
        yield clip_words(base), base
        tighter = replace(base, clip_low=None if low is None else small, clip_high=None if high is None else small)
        yield clip_words(tighter), tighter
    if low is not None and high is not None:
        for alone in (replace(base, clip_high=None), replace(base, clip_low=None)):
            yield clip_words(alone), alone
    yield "no clip", replace(base, clip_low=None, clip_high=None)


def clip_words(settings: Settings) -> str:
    """The bounds in words."""
    low, high = settings.clip_low, settings.clip_high
    if low is None or high is None:
        return "no clip" if low == high else f"high {high:g} only" if low is None else f"low {low:g} only"
    return f"clip {low:g}" if low == high else f"clip {low:g}/{high:g}"


@dataclass(frozen=True, slots=True)
class Summary:
    """Where the policies of one arm ended."""

    mean: float
    se: float | None
    """Standard error of the mean over seeds; None with one seed."""
    median: float
    above: float
    """Share of seeds that ended above where they started."""
    low: float
    """5th percentile."""
    high: float
    """95th percentile."""
    counts: tuple[int, ...]
    """Seeds in each of `BINS` bins."""


def summarize(simulation: Simulation) -> Summary:
    """The final probabilities of arm 1 in numbers."""
    final = simulation.final
    low, high = np.quantile(final, [0.05, 0.95])
    return Summary(
        mean=float(final.mean()),
        se=_standard_error(final),
        median=float(np.median(final)),
        above=float((final > simulation.median[0]).mean()),
        low=float(low),
        high=float(high),
        counts=tuple(int(n) for n in np.histogram(final, bins=BINS, range=(0, 1))[0]),
    )


def _standard_error(values: Floats) -> float | None:
    return None if values.size < 2 else float(values.std(ddof=1)) / values.size**0.5


@dataclass(frozen=True, slots=True)
class Paired:
    """What the bounds did to the mean, seed by seed: every pair of arms sees the same uniforms."""

    arm: str
    without: str
    difference: float
    """Mean of final p with bounds minus without."""
    se: float | None


def paired(simulations: Mapping[str, Simulation]) -> list[Paired]:
    """Every arm with bounds minus the same without."""
    found = []
    for name, one in simulations.items():
        bare = f"{one.settings.estimator}, no clip"
        if one.settings.has_ratio and name != bare:
            gap = one.final - simulations[bare].final
            found.append(Paired(name, bare, float(gap.mean()), _standard_error(gap)))
    return found


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of Oertell et al. and what was found here."""

    text: str
    holds: bool
    rule: str
    """When it counts as holding; ours."""
    found: str


def claims(simulations: Mapping[str, Simulation]) -> list[Claim]:
    """The claims about the arms that are there, for these settings and no others; none where p0 is not above .5."""
    ends = {name: summarize(one) for name, one in simulations.items() if one.settings.p0 > 0.5}
    made: list[Claim] = []
    clipped: list[tuple[str, Summary]] = []
    for name, end in ends.items():
        settings = simulations[name].settings
        if name == "reinforce":
            made.append(_centered(name, end, settings.p0))
        elif settings.estimator == "grpo" and None not in (settings.clip_low, settings.clip_high):
            made += _shifted(name, end, settings.p0)
            clipped.append((name, end))
    for (wide, first), (narrow, second) in pairwise(clipped):
        made.append(
            Claim(
                text=f"{narrow} is less skewed than {wide}",
                holds=second.median - second.mean < first.median - first.mean,
                rule="median - mean is smaller",
                found=f"{second.median - second.mean:+.3f}, {first.median - first.mean:+.3f}",
            )
        )
    return made


def _centered(name: str, end: Summary, p0: float) -> Claim:
    return Claim(
        text=f"{name}: stays centered at {p0:g}",
        holds=abs(end.mean - p0) <= CENTERED and abs(end.median - p0) <= CENTERED,
        rule=f"mean and median within {CENTERED:g}",
        found=f"{end.mean - p0:+.3f}, {end.median - p0:+.3f}",
    )


def _shifted(name: str, end: Summary, p0: float) -> Iterator[Claim]:
    yield Claim(
        text=f"{name}: the median moves right",
        holds=end.median - p0 > CENTERED,
        rule=f"by more than {CENTERED:g}",
        found=f"{end.median - p0:+.3f}",
    )
    yield Claim(
        text=f"{name}: the mean stays at {p0:g}",
        holds=abs(end.mean - p0) <= CENTERED,
        rule=f"within {CENTERED:g}",
        found=f"{end.mean - p0:+.3f}",
    )
