"""How often the audit's decision is wrong, by simulation with the decision code itself.

    python benchmarks/calibration.py [--audits 5000] [--json FILE]

Prints the tables of docs/calibration.md and exits with status 1 when a bound is broken; four to seven minutes on one
core.

The runs are those of simulated_runs.py.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.special import betaincinv
from simulated_runs import (
    ORGANISM_BASE,
    ORGANISM_PLACEBO,
    ORGANISM_TRUTH,
    PLACEBO,
    TRUTH,
    Arm,
    Scenario,
    World,
    effect_here,
    simulate,
)

from spurious.analysis import Differences, Evidence, Verdict, decide, margin_from
from spurious.analysis.statistics import bootstrap_interval, effect, interaction

WORDS = ("earned", "elicited", "worse", "indistinguishable", "underpowered")
LOOKS = (4, 6, 8, 10)
EVERY_SEED = tuple(range(3, 21))


def _all(change: float = 0.0, sd: float | None = None) -> dict[str, Arm]:
    return {name: Arm(arm.mean + change, arm.sd if sd is None else sd) for name, arm in PLACEBO.items()}


def _halfway(share: float) -> dict[str, Arm]:
    return {m: Arm(arm.mean + share * (TRUTH[m].mean - arm.mean), arm.sd * (1 - share)) for m, arm in PLACEBO.items()}


COIN = Scenario("coin", PLACEBO)
SKEWED = replace(COIN, name="coin, skewed seeds", world=World(skewed=True))
CORRELATED = replace(COIN, name="coin, arms correlated .8", world=World(correlation=0.8))
WILD = Scenario("coin, wild seeds (sd .2)", _all(sd=0.2), _all(sd=0.2))
QUIET = Scenario("coin, quiet seeds (sd .02)", _all(sd=0.02), _all(sd=0.02))
ONE_MODEL = Scenario("coin, one model", {"good-code": PLACEBO["good-code"]})
TWO_OF_THREE = Scenario("truth on two models, coin on the third", TRUTH | {"no-code": PLACEBO["no-code"]})
TRUE = Scenario("truth", TRUTH)
HALF = Scenario("half of truth's effect", _halfway(0.5))
SMALL = Scenario("small gain everywhere (+.03)", _all(0.03))
PYTHON = Scenario(
    "python", {"good-code": Arm(0.95, 0.04), "bad-code": Arm(0.215, 0.012), "no-code": PLACEBO["no-code"]}
)
WRONG = Scenario("wrong label", dict.fromkeys(PLACEBO, Arm(0.065, 0.012)))
ORGANISM_COIN = Scenario(
    "coin, organisms", ORGANISM_PLACEBO, ORGANISM_PLACEBO, truth=ORGANISM_TRUTH, base=ORGANISM_BASE
)
ORGANISM_TRUE = replace(ORGANISM_COIN, name="truth, organisms", treatment=ORGANISM_TRUTH)
ORGANISM_PYTHON = replace(
    ORGANISM_COIN,
    name="python, organisms",
    treatment={
        "good-code": ORGANISM_TRUTH["good-code"],
        "bad-code": Arm(0.164, 0.012),
        "no-code": ORGANISM_PLACEBO["no-code"],
    },
)
ORGANISMS = (ORGANISM_COIN, ORGANISM_TRUE, ORGANISM_PYTHON)
SCENARIOS = (COIN, SKEWED, CORRELATED, WILD, QUIET, ONE_MODEL, TWO_OF_THREE, TRUE, HALF, SMALL, PYTHON, WRONG)
_WITHOUT_MERIT = (COIN, SKEWED, CORRELATED, WILD, QUIET, ONE_MODEL, TWO_OF_THREE, PYTHON, WRONG)
NO_MERIT = {scenario.name for scenario in (*_WITHOUT_MERIT, ORGANISM_COIN, ORGANISM_PYTHON)}
"""Rewards that must not be called earned; on the third of `TWO_OF_THREE` the test is at its sharpest."""


def first(differences: Differences, n_seeds: int) -> Differences:
    """The same with its first seeds only."""
    return replace(differences, seeds=differences.seeds[:n_seeds], values=differences.values[:n_seeds])


def audit(scenario: Scenario, number: int, looks: tuple[int, ...]) -> tuple[Verdict, int]:
    """One audit to its end: the verdict, and the seeds it took.

    One entry of `looks` is the plain audit; more are looks with alpha spending.
    """
    runs = {model: simulate(scenario, model, looks[-1], number) for model in scenario.treatment}
    for look in looks:
        evidence = {
            model: Evidence(first(run.differences, look), margin_from(first(run.truth_gain, look)))
            for model, run in runs.items()
        }
        verdict = decide(evidence, looks=looks if len(looks) > 1 else ())
        if verdict.next_look is None:
            break
    return verdict, look


def signed(verdict: Verdict) -> bool:
    """Whether any model was called + or -."""
    return any(model.sign in ("+", "-") for model in verdict.models)


def by_interaction_alone(verdict: Verdict) -> bool:
    """Whether 'elicited' would be said if a + here, none there and a significant interaction were enough."""
    plus = {model.model for model in verdict.models if model.sign == "+"}
    return any(
        contrast.significant
        and len(plus & set(contrast.models)) == 1
        and (contrast.difference > 0) == (contrast.models[0] in plus)
        for contrast in verdict.interactions
    )


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share."""
    low = float(betaincinv(hits, n - hits + 1, 0.025)) if hits else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 0.975)) if hits < n else 1.0


@dataclass(frozen=True)
class Shares:
    """What a scenario's audits said."""

    scenario: str
    looks: tuple[int, ...]
    audits: int
    words: dict[str, float]
    earned_interval: tuple[float, float]
    signed: float
    """Share of audits that called any model + or -."""
    by_interaction_alone: float
    mean_seeds: float


def shares(scenario: Scenario, audits: int, looks: tuple[int, ...]) -> Shares:
    results = [audit(scenario, number, looks) for number in range(audits)]
    counts = Counter(verdict.word for verdict, _ in results)
    return Shares(
        scenario=scenario.name,
        looks=looks,
        audits=audits,
        words={word: counts[word] / audits for word in WORDS},
        earned_interval=clopper_pearson(counts["earned"], audits),
        signed=sum(signed(verdict) for verdict, _ in results) / audits,
        by_interaction_alone=sum(by_interaction_alone(verdict) for verdict, _ in results) / audits,
        mean_seeds=sum(seeds for _, seeds in results) / audits,
    )


@dataclass(frozen=True)
class Coverage:
    """Shares of nominal 95 % intervals that hold the true effect."""

    seeds: int
    skewed: bool
    grids: int
    t_here: float
    """t over seeds; the effect on this benchmark's problems, over all seeds."""
    t_anywhere: float
    """The same interval; the effect on all problems of this kind, over all seeds."""
    bootstrap_here: float
    bootstrap_anywhere: float
    interaction_here: float


def coverage(grids: int, n_seeds: int, skewed: bool, draws: int) -> Coverage:
    """Half of truth's effect on two models, beside the placebo."""
    scenario = replace(HALF, world=World(skewed=skewed))
    models = ("good-code", "bad-code")
    anywhere = scenario.treatment[models[0]].mean - scenario.placebo[models[0]].mean
    hits = np.zeros(5)
    for number in range(grids):
        a, b = (simulate(scenario, model, n_seeds, number) for model in models)
        here, there = (effect_here(scenario, m, run.easiness) for m, run in zip(models, (a, b), strict=True))
        t = effect(a.differences).interval()
        boot = bootstrap_interval(a.differences, seed=number, draws=draws)
        both = interaction(a.differences, b.differences).interval()
        targets = ((t, here), (t, anywhere), (boot, here), (boot, anywhere), (both, here - there))
        hits += [low <= target <= high for (low, high), target in targets]
    return Coverage(n_seeds, skewed, grids, *map(float, hits / grids))


@dataclass(frozen=True)
class Bound:
    """A promise and what was found."""

    promise: str
    found: str
    kept: bool


def bounds(audits: list[Shares], covered: list[Coverage]) -> Iterator[Bound]:
    """What docs/calibration.md promises."""
    for item in audits:
        name = f"{item.scenario}, {_looks(item.looks)}"
        low, high = item.earned_interval
        found = f"{item.words['earned']:.4f} [{low:.4f}, {high:.4f}]"
        if item.scenario in NO_MERIT:
            yield Bound(f"{name}: earned at most 5 %, upper end of its interval included", found, high <= 0.05)
        if item.scenario in (TRUE.name, ORGANISM_TRUE.name) and item.looks[-1] == 10:
            yield Bound(f"{name}: earned at least 80 %, lower end included", found, low >= 0.8)
        if item.scenario == QUIET.name and item.looks == (10,):
            share = item.words["indistinguishable"]
            yield Bound(f"{name}: indistinguishable at least 80 %", f"{share:.4f}", share >= 0.8)
        if item.scenario == PYTHON.name and item.looks == (10,):
            share = item.words["elicited"]
            yield Bound(f"{name}: elicited at least 80 %", f"{share:.4f}", share >= 0.8)
    for row in covered:
        if not row.skewed:
            for word, share in (("t interval", row.t_here), ("interaction", row.interaction_here)):
                promise = f"{word}, {row.seeds} seeds: nominal 95 % covers 93 to 97 %"
                yield Bound(promise, f"{share:.4f}", 0.93 <= share <= 0.97)


def _looks(looks: tuple[int, ...]) -> str:
    if len(looks) == 1:
        return f"{looks[0]} seeds"
    return "looks at " + (
        ", ".join(map(str, looks)) if len(looks) < 6 else f"every seed from {looks[0]} to {looks[-1]}"
    )


def plan() -> Iterator[tuple[Scenario, tuple[int, ...]]]:
    """Which audits are simulated: all scenarios with ten seeds, the main ones with fewer, some with several looks."""
    for scenario in ORGANISMS:
        yield from ((scenario, looks) for looks in ((3,), (5,), (10,), LOOKS))
    for scenario in SCENARIOS:
        yield scenario, (10,)
    for scenario in (COIN, TRUE, HALF, PYTHON, QUIET):
        yield from ((scenario, (n,)) for n in (3, 5))
    for scenario in (COIN, ONE_MODEL, TWO_OF_THREE, TRUE, HALF, PYTHON, QUIET):
        yield scenario, LOOKS
    yield ONE_MODEL, EVERY_SEED


def tables(audits: list[Shares], covered: list[Coverage], kept: list[Bound]) -> Iterator[str]:
    """The figures as Markdown."""
    yield (
        "| reward | seeds | " + " | ".join(WORDS) + " | earned, interval | + or - | by interaction alone | mean seeds |"
    )
    yield "|---" * (len(WORDS) + 6) + "|"
    for item in audits:
        words = " | ".join(f"{item.words[word]:.3f}" for word in WORDS)
        low, high = item.earned_interval
        yield (
            f"| {item.scenario} | {_looks(item.looks)} | {words} | {low:.4f} to {high:.4f} "
            f"| {item.signed:.3f} | {item.by_interaction_alone:.3f} | {item.mean_seeds:.1f} |"
        )
    yield ""
    yield "| seeds | fates | t, this benchmark | t, all problems | bootstrap, this | bootstrap, all | interaction |"
    yield "|---" * 7 + "|"
    for row in covered:
        shares = (row.t_here, row.t_anywhere, row.bootstrap_here, row.bootstrap_anywhere, row.interaction_here)
        fates = "skewed" if row.skewed else "normal"
        yield f"| {row.seeds} | {fates} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"
    yield ""
    yield "| promise | found | kept |"
    yield "|---|---|---|"
    for bound in kept:
        yield f"| {bound.promise} | {bound.found} | {'yes' if bound.kept else 'NO'} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Error rates of the audit's decision, by simulation.")
    parser.add_argument("--audits", type=int, default=5000, help="simulated audits a row, and grids a coverage")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws a grid")
    parser.add_argument("--json", help="also write the figures here")
    options = parser.parse_args()
    start = time.perf_counter()
    audits = []
    for scenario, looks in plan():
        print(f"{time.perf_counter() - start:6.0f} s  {scenario.name}, {_looks(looks)}", file=sys.stderr)
        audits.append(shares(scenario, options.audits, looks))
    covered = []
    for skewed in (False, True):
        for n_seeds in (3, 5, 10):
            print(f"{time.perf_counter() - start:6.0f} s  coverage, {n_seeds} seeds", file=sys.stderr)
            covered.append(coverage(options.audits, n_seeds, skewed, options.draws))
    kept = list(bounds(audits, covered))
    print("\n".join(tables(audits, covered, kept)))
    if options.json:
        figures = {"audits": audits, "coverage": covered, "bounds": kept}
        document = {name: [asdict(row) for row in rows] for name, rows in figures.items()}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
    return 0 if all(bound.kept for bound in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
