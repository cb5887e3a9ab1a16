"""The answer in sentences. A gain is never said without its base, its placebo and its interval."""

from collections.abc import Sequence

from spurious.analysis import Comparison, sign_of
from spurious.analysis.verdicts import Sign
from spurious.report.answer import Answer, Effect, Level, Reference, gain_over_base
from spurious.report.figure import listing
from spurious.report.long_run import collapse_notes
from spurious.report.material import Material

_SIGNS: dict[Sign, str] = {"+": "better", "-": "worse", "equivalent": "no effect", "undecided": "not told apart"}


def headline(material: Material, answer: Answer | None) -> str:
    """The answer to the question in one sentence; an audit's own, where there is one."""
    if material.declared.conclusion is not None:
        return str(material.declared.conclusion["sentences"][0])
    if answer is None:
        return "No answer yet: no run has been evaluated on the declared outcome."
    if not material.declared.pairs:
        return _against_base(material, answer)
    if not answer.effects:
        return "No answer yet: no seed has both a treatment and its placebo."
    first = material.declared.pairs[0]
    effects = [one for one in answer.effects if (one.treatment, one.placebo) == first]
    if not effects:
        return f"No answer yet about {first[0]} against {first[1]}: no seed has both runs."
    text = "; ".join(_clause(answer, one) for one in effects)
    if any(one.comparison.scope == "this run only" for one in effects):
        return f"About this run only: {text}."
    return f"{text[0].upper()}{text[1:]}."


def verdict_word(effect: Effect) -> str:
    """One effect in two or three words."""
    if effect.comparison.scope == "this run only":
        return "this run only"
    return _SIGNS[sign_of(effect.comparison, effect.p)]


def _clause(answer: Answer, effect: Effect) -> str:
    comparison, unit = effect.comparison, answer.unit
    levels = f"{unit.value(comparison.treatment)} against {unit.value(comparison.placebo)}"
    base = f", base {unit.value(effect.base.mean)}" if effect.base else ""
    interval = f"95 % interval {unit.interval(comparison.interval)}" if comparison.interval else "no interval"
    over = (
        f"over {_seeds(comparison.n_seeds)}"
        if comparison.basis == "seeds"
        else f"over {comparison.n_problems} problems"
    )
    size = f"{unit.difference(comparison.difference)} {unit.change} ({interval}, {over}; {levels}{base})"
    on = f"on {effect.model}"
    word = verdict_word(effect)
    if word in ("better", "worse"):
        verb = "beats" if comparison.difference > 0 else "loses to"
        return f"{on}, {effect.treatment} {verb} {effect.placebo} by {size}"
    if word == "this run only":
        return f"{on}, {effect.treatment} minus {effect.placebo} is {size}"
    if word == "no effect":
        return f"{on}, {effect.treatment} does what {effect.placebo} does: {size}, within the declared margin"
    seen = (
        f"; an effect of {unit.scale * comparison.detectable:.1f} would have been seen" if comparison.detectable else ""
    )
    return f"{on}, {effect.treatment} is not told apart from {effect.placebo}: {size}{seen}"


def _against_base(material: Material, answer: Answer) -> str:
    clauses = []
    for level in answer.levels:
        gain = gain_over_base(answer, level.model, level.arm) if level.arm in answer.bases else None
        if gain is not None:
            unit = answer.unit
            interval = f"95 % interval {unit.interval(gain.interval)}" if gain.interval else "no interval"
            over = f"over {_seeds(gain.n_seeds)}" if gain.basis == "seeds" else f"over {gain.n_problems} problems"
            clauses.append(
                f"{level.arm} on {level.model} went from {unit.value(gain.placebo)} to {unit.value(gain.treatment)} "
                f"{unit.word} ({unit.difference(gain.difference)} {unit.change}, {interval}, {over})"
            )
    if not clauses:
        return "No answer yet: base and final evaluation are not both there."
    one = len(material.seeds) == 1
    about = "About this run only: " if one else ""
    return f"{about}{'; '.join(clauses)}. No placebo was run, so nothing says what earned it."


def caveats(material: Material, answer: Answer | None) -> list[str]:
    """What to keep in mind when reading the answer."""
    notes = []
    if answer is not None and answer.effects:
        fewest = min(one.comparison.n_seeds for one in answer.effects)
        if fewest == 1:
            notes.append("One seed: this says something about these runs and nothing about the method.")
        elif fewest < 5:
            notes.append(f"{_seeds(fewest)} show large effects only; the t interval is that wide because they are few.")
        agreed = [e.model for e in answer.effects if e.comparison.basis == "problems" and e.comparison.n_seeds > 1]
        notes += [
            f"{model}: all seeds show the same difference to the last digit; the interval is over problems."
            for model in dict.fromkeys(agreed)
        ]
        if len(answer.effects) > 1:
            notes.append(f"p-values are corrected by Holm for the {len(answer.effects)} declared comparisons.")
    if answer is not None:
        notes += [f"Left out: {gap}." for gap in answer.gaps]
    outcome = material.declared.outcome
    if answer is not None and outcome is not None and outcome.prompts_matter and material.declared.conclusion is None:
        tried = {one.model for one in answer.references}
        without = [model for model in material.models if model not in tried]
        if without:
            where = "" if len(without) == len(material.models) else f"{listing(without)}: "
            notes.append(where + NO_PROMPT)
    notes += collapse_notes(material)
    unfinished = [cell for cell in material.cells if cell.state != "done"]
    if unfinished:
        notes.append(f"{len(unfinished)} of {len(material.cells)} runs are not done; see what is missing below.")
    if material.declared.changes:
        notes.append(f"The declaration was changed {len(material.declared.changes)} times; see the manifest.")
    return notes


NO_PROMPT = "No other prompt was tried without training; a better one may do what training did."


def references(material: Material, answer: Answer) -> list[str]:
    """Whether the arms that are claims beat the best prompt without training."""
    claimed = [arm for arm, _ in material.declared.pairs] or material.arms
    return [_reference(answer, one, list(dict.fromkeys(claimed))) for one in answer.references]


def _reference(answer: Answer, one: Reference, claimed: Sequence[str]) -> str:
    unit = answer.unit
    text = (
        f"{one.model} untrained, with the best of {one.tried} prompts ({one.prompt}): {unit.value(one.mean)} "
        f"{unit.word} on the half of the problems that did not choose it"
    )
    against = []
    for arm in claimed:
        if arm in one.arms:
            found = one.arms[arm]
            interval = f", {unit.interval(found.interval)}" if found.interval else ""
            difference = f"{unit.difference(found.difference)} {unit.change}{interval}"
            against.append(f"{arm} {unit.value(found.treatment)} ({difference}): {_beats(found)}")
    return f"{text}. After training: {'; '.join(against)}." if against else f"{text}."


def _beats(found: Comparison) -> str:
    if found.interval is None or found.scope == "this run only":
        return "this run only"
    low, high = found.interval
    if low > 0:
        return "training beats the prompt"
    return "training stays below the prompt" if high < 0 else "training is not told apart from the prompt"


def model_contrasts(answer: Answer) -> list[str]:
    """Where models differ in the same effect: 'significant here, not there' is not a difference."""
    if answer.family is None:
        return []
    by_name = dict(zip(answer.family.comparisons, answer.effects, strict=True))
    sentences = []
    for contrast in answer.family.contrasts:
        one, two = (by_name[name] for name in contrast.models)
        if (one.treatment, one.placebo) == (two.treatment, two.placebo):
            sentences.append(
                f"{one.treatment} against {one.placebo}: {one.model} minus {two.model} is "
                f"{answer.unit.difference(contrast.difference)} {answer.unit.change} "
                f"(95 % interval {answer.unit.interval(contrast.interval)}, p = {contrast.p:.2g}, uncorrected)."
            )
    return sentences


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def effect_rows(answer: Answer) -> list[dict[str, str]]:
    """The declared comparisons as a table: base, placebo and treatment beside every difference."""
    unit = answer.unit
    rows = []
    for one in answer.effects:
        treatment, placebo = one.levels
        c = one.comparison
        rows.append(
            {
                "model": one.model,
                "treatment": one.treatment,
                "placebo": one.placebo,
                "base": _level(answer, one.base),
                "placebo_level": _level(answer, placebo),
                "treatment_level": _level(answer, treatment),
                "difference": unit.difference(c.difference),
                "interval": unit.interval(c.interval) if c.interval else "–",
                "over": _seeds(c.n_seeds) if c.basis == "seeds" else f"{c.n_problems} problems",
                "p": f"{one.p:.2g}" if c.scope == "method" else "–",
                "detectable": f"{unit.scale * c.detectable:.1f}" if c.detectable is not None else "–",
                "verdict": verdict_word(one),
                "mood": _mood(one),
                "unit": unit.change,
            }
        )
    return rows


def _mood(effect: Effect) -> str:
    """How a page colors the effect, beside its words."""
    word = verdict_word(effect)
    return {"better": "good", "worse": "bad"}.get(word, "open")


def _level(answer: Answer, level: Level | None) -> str:
    """A mean with half the width of its 95 % interval."""
    if level is None:
        return "–"
    if level.estimate is None:
        return answer.unit.value(level.mean)
    low, high = level.estimate.interval()
    return f"{answer.unit.value(level.mean)} ± {answer.unit.scale * (high - low) / 2:.1f}"
