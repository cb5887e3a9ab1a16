"""The rule of an audit: from every model's paired differences to one word.

earned             + on all models
elicited           + on some, a gain excluded on another, and a significant interaction between the two
worse              - somewhere and + nowhere
indistinguishable  the 90 % interval within the margin on all models
underpowered       anything else

in this order. + and - are two-sided t tests over paired seeds with Holm over the models; the interactions are a second
family with Holm over all pairs; both hold 5 %. Fewer than three seeds decide nothing.

A gain is excluded where the 90 % interval lies below the margin. 'Fails elsewhere' must be shown like anything else:
by the interaction alone, a true reward that helps one model less than another is called elicited for want of seeds
(docs/calibration.md has the share). For the same reason an early look says worse only when a gain is excluded on every
model: a + may still come.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from spurious.analysis.comparison import Comparison
from spurious.analysis.explain import sentences
from spurious.analysis.outcomes import Differences
from spurious.analysis.spending import nominal_levels
from spurious.analysis.statistics import Estimate, detectable_effect, effect, interaction
from spurious.analysis.verdicts import Evidence, InteractionVerdict, ModelVerdict, Sign, Verdict, Word, Wording
from spurious.errors import InputError

MIN_SEEDS = 3
"""Two seeds can agree by chance; a claim about a method takes three."""

MARGIN_SHARE = 0.25
"""The share of ground truth's gain that still counts as no effect."""

Level = Callable[[float], float]
"""From the error to keep over all looks to the level of a test at this look."""


def margin_from(truth_gain: Differences) -> float | None:
    """The equivalence margin: a quarter of what ground truth gains over the untrained model on the same problems.

    None where the gain is not above 0 (one-sided 5 %): a task that even the true reward does not teach in so many
    steps has no scale on which 'no effect' could be told from 'nothing could have had one'.
    """
    if len(truth_gain.seeds) * len(truth_gain.problems) < 2:
        return None
    gain = effect(truth_gain)
    return MARGIN_SHARE * gain.mean if gain.interval(0.10)[0] > 0 else None


def sign_of(comparison: Comparison, adjusted: float, alpha: float = 0.05) -> Sign:
    """What one declared comparison of a study says, in one sign.

    `+` and `-` where p, adjusted for all comparisons declared with it, is at most alpha; else `equivalent` where the
    effect lies within the declared margin (TOST at 5 %); else `undecided`, and always so below three seeds.
    """
    if comparison.n_seeds < MIN_SEEDS:
        return "undecided"
    if adjusted <= alpha:
        return "+" if comparison.difference > 0 else "-"
    return "equivalent" if comparison.equivalence is not None and comparison.equivalence.shown else "undecided"


def decide(
    evidence: Mapping[str, Evidence],
    *,
    looks: Sequence[int] = (),
    alpha: float = 0.05,
    wording: Wording = Wording(),
) -> Verdict:
    """The verdict on a reward from its differences to the matched placebo, one entry a model.

    With `looks` (increasing numbers of seeds) this is one look of a group-sequential audit: every level is lowered so
    that the error over all looks together stays at `alpha`, and `next_look` says whether to go on. The number of
    looks and their places are declared before the first; only the data in hand decide, so a look taken twice says the
    same.

    Raises:
        InputError: no models, or a number of seeds that is no planned look.
    """
    if not evidence:
        raise InputError("models: an audit needs at least one")
    plan = tuple(looks)
    level = _level_at(plan, evidence)
    effects = {model: effect(item.differences) for model, item in evidence.items() if _has_spread(item.differences)}
    if len(effects) < len(evidence):
        raise InputError(f"model {next(m for m in evidence if m not in effects)!r}: one seed on one problem is no data")
    models = _model_verdicts(evidence, effects, level, alpha)
    interactions = _interactions(evidence, level, alpha)
    seen = min(len(item.differences.seeds) for item in evidence.values())
    last = not plan or seen == plan[-1]
    word = _word(models, interactions, last) if seen >= MIN_SEEDS else "underpowered"
    verdict = Verdict(
        word=word,
        models=models,
        interactions=interactions,
        alpha=alpha,
        confidence=1 - level(alpha),
        equivalence_confidence=1 - level(2 * alpha),
        looks=plan,
        next_look=next((look for look in plan if look > seen), None) if word == "underpowered" else None,
        wording=wording,
        sentences=(),
    )
    return replace(verdict, sentences=sentences(verdict))


def _has_spread(differences: Differences) -> bool:
    return max(len(differences.seeds), len(differences.problems)) > 1


def _level_at(looks: tuple[int, ...], evidence: Mapping[str, Evidence]) -> Level:
    if not looks:
        return lambda error: error
    for model, item in evidence.items():
        if len(item.differences.seeds) not in looks:
            n = len(item.differences.seeds)
            raise InputError(
                f"looks: model {model!r} has {n} seeds, the planned looks are at {', '.join(map(str, looks))}"
            )
    sizes = {len(item.differences.seeds) for item in evidence.values()}
    if len(sizes) > 1:
        raise InputError(f"looks: models differ in their number of seeds ({sorted(sizes)}); a look needs the same")
    index = looks.index(sizes.pop())
    return lambda error: nominal_levels(looks, error)[index]


def _model_verdicts(
    evidence: Mapping[str, Evidence], effects: Mapping[str, Estimate], level: Level, alpha: float
) -> tuple[ModelVerdict, ...]:
    levels = holm_levels([estimate.p for estimate in effects.values()], level, alpha)
    return tuple(
        _model_verdict(model, evidence[model], estimate, asked, level, alpha, len(effects))
        for (model, estimate), asked in zip(effects.items(), levels, strict=True)
    )


def _model_verdict(
    model: str, item: Evidence, estimate: Estimate, asked: float, level: Level, alpha: float, family: int
) -> ModelVerdict:
    low, high = estimate.interval(level(2 * alpha))
    enough = len(item.differences.seeds) >= MIN_SEEDS
    within = enough and item.margin is not None and -item.margin <= low and high <= item.margin
    sign: Sign = "equivalent" if within else "undecided"
    if enough and estimate.p <= asked:
        sign = "+" if estimate.mean > 0 else "-"
    return ModelVerdict(
        model=model,
        sign=sign,
        difference=estimate.mean,
        interval=estimate.interval(level(alpha)),
        p=estimate.p,
        level=asked,
        equivalence_interval=(low, high),
        margin=item.margin,
        within_margin=within,
        gain_excluded=enough and high < (item.margin or 0.0),
        detectable=detectable_effect(estimate, alpha=level(alpha / family)),
        basis=estimate.basis,
        n_problems=len(item.differences.problems),
        by_seed=tuple(zip(item.differences.seeds, map(float, item.differences.by_seed), strict=True)),
    )


def _interactions(evidence: Mapping[str, Evidence], level: Level, alpha: float) -> tuple[InteractionVerdict, ...]:
    pairs = list(combinations(evidence, 2))
    contrasts = [interaction(evidence[a].differences, evidence[b].differences) for a, b in pairs]
    levels = holm_levels([contrast.p for contrast in contrasts], level, alpha)
    return tuple(
        InteractionVerdict(pair, contrast.mean, contrast.interval(level(alpha)), contrast.p, asked)
        for pair, contrast, asked in zip(pairs, contrasts, levels, strict=True)
    )


def holm_levels(ps: Sequence[float], level: Level, alpha: float) -> list[float]:
    """What Holm's procedure asks of each p: significance is `p <= level`, for one look the same as Holm's adjusted p.

    The j-th smallest of m is compared with the level that keeps alpha / (m - j + 1); the first that fails, and all
    after it, keep the level that stopped it (group-sequential Holm: Maurer and Bretz 2013).
    """
    levels = [0.0] * len(ps)
    asked, going = 0.0, True
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if going:
            asked = level(alpha / (len(ps) - rank))
            going = ps[index] <= asked
        levels[index] = asked
    return levels


def _word(models: Sequence[ModelVerdict], interactions: Sequence[InteractionVerdict], last: bool) -> Word:
    helped = {model.model for model in models if model.sign == "+"}
    failed = {model.model for model in models if model.sign != "+" and model.gain_excluded}
    if len(helped) == len(models):
        return "earned"
    if any(_favors(contrast, helped, failed) for contrast in interactions):
        return "elicited"
    if any(model.sign == "-" for model in models) and not helped and (last or len(failed) == len(models)):
        return "worse"
    if all(model.within_margin for model in models):
        return "indistinguishable"
    return "underpowered"


def _favors(contrast: InteractionVerdict, helped: set[str], failed: set[str]) -> bool:
    """Whether the pair is of a helped and a failed model, and the helped one gained significantly more."""
    first, second = contrast.models
    if first in failed and second in helped:
        return contrast.significant and contrast.difference < 0
    return first in helped and second in failed and contrast.significant and contrast.difference > 0
