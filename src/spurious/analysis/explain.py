"""A verdict in plain sentences, every one made from its numbers."""

from collections.abc import Iterator

from spurious.analysis.verdicts import ModelVerdict, Verdict, Wording


def sentences(verdict: Verdict) -> tuple[str, ...]:
    """The conclusion, one sentence a model, what tells models apart, and what to keep in mind."""
    return (_conclusion(verdict), *_models(verdict), *_differences(verdict), *_caveats(verdict))


def _conclusion(verdict: Verdict) -> str:
    helped = _names(verdict, "+")
    hurt = _names(verdict, "-")
    if verdict.word == "earned":
        return f"Earned: the reward beats {verdict.wording.placebo} on {_all(verdict)}."
    if verdict.word == "elicited":
        failed = [model.model for model in verdict.models if model.sign != "+" and model.gain_excluded]
        return (
            f"Elicited: the reward beats {verdict.wording.placebo} on {_list(helped)} and does not on {_list(failed)}: "
            "it brings out what a model already does rather than teach it."
        )
    if verdict.word == "worse":
        return f"Worse: the reward does harm against {verdict.wording.placebo} on {_list(hurt)} and helps nowhere."
    if verdict.word == "indistinguishable":
        placebo = verdict.wording.placebo
        return f"Indistinguishable: on {_all(verdict)} the reward is as good as {placebo}, within the margin."
    more = f"; go on to {verdict.next_look} seeds" if verdict.next_look else ""
    return f"Underpowered: {_n_seeds(verdict.models[0])} cannot decide between the reward and its placebo{more}."


def _models(verdict: Verdict) -> Iterator[str]:
    for model in verdict.models:
        low, high = model.interval
        text = (
            f"{model.model}: {model.difference:+.3f} against the placebo ({_percent(verdict.confidence)} interval "
            f"{low:+.3f} to {high:+.3f}, {_n_seeds(model)}, p = {model.p:.2g} where {model.level:.2g} was asked): "
            f"{_reading(model, verdict.wording)}"
        )
        if model.sign in ("+", "-"):
            yield text + "."
        else:
            yield text + f"; an effect of {model.detectable:.3f} would have been seen with 80 % chance."


def _reading(model: ModelVerdict, wording: Wording) -> str:
    if model.sign == "+":
        small = ", though within the margin of 'no effect'" if model.within_margin else ""
        return f"it helps{small}"
    if model.sign == "-":
        return "it hurts"
    if model.gain_excluded and model.sign == "undecided":
        return f"a gain is excluded (below {model.margin or 0.0:.3f}), harm is not shown"
    if model.margin is None:
        return f"not decided, and no margin for 'no effect' because {wording.no_margin}"
    low, high = model.equivalence_interval
    inside = f"{low:+.3f} to {high:+.3f} within ±{model.margin:.3f}"
    if model.sign == "equivalent":
        return f"no effect ({inside})"
    return f"neither an effect nor its absence is shown ({inside.replace('within', 'not within')})"


def _differences(verdict: Verdict) -> Iterator[str]:
    for contrast in verdict.interactions:
        if contrast.significant:
            low, high = contrast.interval
            first, second = contrast.models
            yield (
                f"{first} minus {second}: {contrast.difference:+.3f} ({_percent(verdict.confidence)} interval "
                f"{low:+.3f} to {high:+.3f}, p = {contrast.p:.2g}): the effect differs between the two."
            )


def _caveats(verdict: Verdict) -> Iterator[str]:
    fewest = min(verdict.models, key=lambda model: len(model.by_seed))
    if len(fewest.by_seed) == 1:
        yield f"About this run only: one seed on {fewest.model} says nothing about the method; three are the least."
    elif len(fewest.by_seed) == 2:
        yield f"Two seeds on {fewest.model} carry no verdict; three are the least."
    if len(verdict.models) == 1 and verdict.word != "underpowered":
        yield "On one model only: whether its prior did the work is not known without a model of the opposite prior."
    for model in verdict.models:
        if model.basis == "problems" and len(model.by_seed) > 1:
            yield f"{model.model}: all seeds show the same difference to the last digit; the interval is over problems."
    if verdict.looks:
        looks = ", ".join(map(str, verdict.looks))
        error = _percent(verdict.alpha)
        yield f"Looks at {looks} seeds share one error of {error}: levels are stricter, intervals wider."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _names(verdict: Verdict, sign: str) -> list[str]:
    return [model.model for model in verdict.models if model.sign == sign]


def _all(verdict: Verdict) -> str:
    names = [model.model for model in verdict.models]
    return names[0] if len(names) == 1 else f"all {len(names)} models ({_list(names)})"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _n_seeds(model: ModelVerdict) -> str:
    n = len(model.by_seed)
    return "1 seed" if n == 1 else f"{n} seeds"
