"""The answer to a study's question: the declared comparisons, counted, and said in one sentence with its interval."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from spurious.analysis import Comparison, Differences, Family, Outcomes, compare, compare_family, read_outcomes
from spurious.analysis.elicitation import best_prompt
from spurious.analysis.statistics import Estimate, effect
from spurious.errors import DataError
from spurious.report.bases import bases, starts
from spurious.report.figure import listing, signed
from spurious.report.material import Material, Outcome

ASKED = ("bench", "model", "arm", "run", "seed", "step", "problem_id", "copy", "sample")
"""Columns that say what a row of an evaluation answers."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How values of the outcome are written."""

    scale: float
    word: str
    change: str
    """What a difference of them is counted in."""

    def value(self, value: float) -> str:
        """A value for people."""
        return f"{self.scale * value:.1f}{' %' if self.scale == 100 else ''}"

    def difference(self, value: float) -> str:
        """A difference for people, without its unit."""
        return signed(self.scale * value)

    def interval(self, interval: tuple[float, float]) -> str:
        """An interval of differences."""
        return f"{self.difference(interval[0])} to {self.difference(interval[1])}"


@dataclass(frozen=True, slots=True)
class Reached:
    """The completions of one arm on one model, at one step; the base is an arm here."""

    model: str
    arm: str
    rows: pl.DataFrame
    """Of one benchmark, without the column `step`."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one arm reached on one model; the base is an arm here."""

    model: str
    arm: str
    outcomes: Outcomes
    estimate: Estimate | None
    """None with one seed and one problem."""

    @property
    def mean(self) -> float:
        """Over seeds and problems."""
        return float(self.outcomes.means.mean())

    @property
    def by_seed(self) -> tuple[tuple[int, float], ...]:
        """Every seed and its mean."""
        return tuple(zip(self.outcomes.seeds, map(float, self.outcomes.means.mean(axis=1)), strict=True))


@dataclass(frozen=True, slots=True)
class Effect:
    """A treatment against its placebo on one model, with the base that both started from."""

    model: str
    treatment: str
    placebo: str
    base: Level | None
    levels: tuple[Level, Level]
    """Of treatment and placebo, on the seeds that both have."""
    comparison: Comparison
    p: float
    """Adjusted for all comparisons of the study."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The best untrained prompt of a model, beside what each arm reached on the same problems."""

    model: str
    prompt: str
    tried: int
    """Prompts that it was chosen from, on the other half of the problems."""
    mean: float
    arms: Mapping[str, Comparison]
    """By arm: trained minus untrained with this prompt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything the page says about the primary outcome."""

    outcome: Outcome
    unit: Unit
    levels: tuple[Level, ...]
    effects: tuple[Effect, ...]
    family: Family | None
    gaps: tuple[str, ...]
    """Comparisons that could not be made in full, and why."""
    bases: Mapping[str, str]
    """Arm -> the name of the base among the levels that it started from."""
    references: tuple[Reference, ...] = ()
    """One a model that was tried with more than one prompt before training; only where more is better."""


def answer(material: Material) -> Answer | None:
    """Count the declared comparisons on the runs that are there; None where nothing was evaluated or declared."""
    outcome = material.declared.outcome
    if outcome is None or not material.evals.height:
        return None
    needed = [*ASKED, *(name for name in outcome.value.meta.root_names() if name in material.evals.columns)]
    rows = material.evals.select(*dict.fromkeys(needed)).filter(pl.col("bench") == outcome.bench)
    if not rows.height:
        return None
    named = bases(material)
    levels = {
        (one.model, one.arm): level(
            one.model,
            one.arm,
            read_outcomes(one.rows, value=outcome.value, where=f"{one.arm} on {one.model}, {outcome}"),
        )
        for one in reached(material, rows, outcome.step)
    }
    gaps: list[str] = []
    arms: dict[str, tuple[Outcomes, Outcomes]] = {}
    members = {}
    for treatment, placebo in material.declared.pairs:
        for model in material.models:
            both = on_shared_seeds(levels.get((model, treatment)), levels.get((model, placebo)))
            name = f"{treatment} against {placebo} on {model}"
            if both is None:
                gaps.append(f"{name}: no seed has both runs yet")
                continue
            lost = _lost(levels[model, treatment], levels[model, placebo])
            if lost:
                gaps.append(f"{name}: seed {listing(lost)} left out, one of the two runs is missing")
            arms[name] = both
            members[name] = (model, treatment, placebo)
    family = compare_family(arms, seed=0, margin=material.declared.margin) if arms else None
    effects = tuple(
        Effect(
            model,
            treatment,
            placebo,
            levels.get((model, named[treatment])),
            (level(model, treatment, arms[name][0]), level(model, placebo, arms[name][1])),
            family.comparisons[name],
            family.adjusted[name],
        )
        for name, (model, treatment, placebo) in members.items()
        if family is not None
    )
    shown = tuple(levels.values())
    trained = [level for level in shown if level.arm not in named.values()]
    references = tuple(_references(material.prompted, outcome, trained))
    return Answer(outcome, _unit(outcome, rows), shown, effects, family, tuple(gaps), named, references)


def gain_over_base(answer: Answer, model: str, arm: str) -> Comparison | None:
    """What the arm has gained since step 0 on the same problems; None where either is missing."""
    found = {(one.model, one.arm): one.outcomes for one in answer.levels}
    both = found.get((model, arm)), found.get((model, answer.bases[arm]))
    if both[0] is None or both[1] is None or both[0].problems != both[1].problems:
        return None
    return compare(_of_seeds(both[0], both[1].seeds), _of_seeds(both[1], both[0].seeds), seed=0)


def _references(prompted: pl.DataFrame, outcome: Outcome, trained: Sequence[Level]) -> Iterator[Reference]:
    if not outcome.prompts_matter or not prompted.height:
        return
    for (model,), rows in prompted.partition_by("model", as_dict=True, maintain_order=True).items():
        best = best_prompt(rows, outcome.value)
        if best.tried < 2:
            continue
        untrained = read_outcomes(best.held_out, value=outcome.value, where=f"{best.name} on {model}")
        arms = {one.arm: _against_prompt(one.outcomes, untrained) for one in trained if one.model == model}
        yield Reference(str(model), best.name, best.tried, float(untrained.means.mean()), arms)


def _against_prompt(trained: Outcomes, prompt: Outcomes) -> Comparison:
    """Trained minus untrained on the prompt's problems; the untrained model is one and the same for every seed."""
    places = [trained.problems.index(problem) for problem in prompt.problems]
    kept = Outcomes(trained.seeds, prompt.problems, trained.means[:, places], trained.samples, trained.noise)
    same = np.repeat(prompt.means.mean(axis=0, keepdims=True), len(trained.seeds), axis=0)
    return compare(kept, Outcomes(trained.seeds, prompt.problems, same, prompt.samples, prompt.noise), seed=0)


def reached(material: Material, rows: pl.DataFrame, step: int | Literal["final"]) -> Iterator[Reached]:
    """What every arm answered at a step on each model, its base first; without those that have no rows.

    Args:
        material: what the rows belong to.
        rows: evaluated completions of one benchmark.
        step: at which arms are read; the base is read at step 0.
    """
    last = pl.col("step").max().over("run") if step == "final" else pl.lit(step)
    for model in material.models:
        there = rows.filter(pl.col("model") == model)
        for base, start in starts(material, there):
            if start.height:
                once = ["seed", "problem_id", "copy", "sample"]
                yield Reached(model, base, start.unique(once, keep="first").drop("step"))
        for arm in material.arms:
            part = there.filter(pl.col("arm") == arm).filter((pl.col("step") == last) & (pl.col("step") > 0))
            if part.height:
                yield Reached(model, arm, part.drop("step"))


def on_shared_seeds(treatment: Level | None, placebo: Level | None) -> tuple[Outcomes, Outcomes] | None:
    """Both arms on the seeds that both have; None where there is no such seed.

    Raises:
        DataError: they were evaluated on different problems.
    """
    if treatment is None or placebo is None:
        return None
    if treatment.outcomes.problems != placebo.outcomes.problems:
        raise DataError(f"{treatment.arm} and {placebo.arm} on {treatment.model}: evaluated on different problems")
    both = _of_seeds(treatment.outcomes, placebo.outcomes.seeds), _of_seeds(placebo.outcomes, treatment.outcomes.seeds)
    return both if both[0].seeds else None


def level(model: str, arm: str, outcomes: Outcomes) -> Level:
    """Outcomes with their uncertainty."""
    many = outcomes.means.size > 1
    spread = effect(Differences(outcomes.seeds, outcomes.problems, outcomes.means)) if many else None
    return Level(model, arm, outcomes, spread)


def _of_seeds(outcomes: Outcomes, seeds: tuple[int, ...]) -> Outcomes:
    kept = [i for i, seed in enumerate(outcomes.seeds) if seed in seeds]
    chosen = tuple(outcomes.seeds[i] for i in kept)
    return Outcomes(chosen, outcomes.problems, outcomes.means[kept], outcomes.samples, outcomes.noise)


def _lost(treatment: Level, placebo: Level) -> list[str]:
    return [str(seed) for seed in sorted(set(treatment.outcomes.seeds) ^ set(placebo.outcomes.seeds))]


def _unit(outcome: Outcome, rows: pl.DataFrame) -> Unit:
    values = rows.select(outcome.value.cast(pl.Float64).alias("value"))["value"]
    share = values.drop_nulls().is_in([0.0, 1.0]).all()
    word = outcome.metric.removeprefix("behavior/").replace("_", " ")
    return Unit(100, word, "points") if share else Unit(1, word, word)
