"""A small calibration of the audit's decision; benchmarks/calibration.py is the large one, with the same code."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from spurious.analysis.statistics import effect

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
AUDITS = 150


@pytest.fixture(scope="module")
def calibration():
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of this distribution")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("calibration")


def few(share, n=AUDITS):
    """The most hits that are plausible when the true share is `share`: exceeded once in 100,000 times."""
    return binom.ppf(1 - 1e-5, n, share)


@pytest.mark.parametrize(
    "name", ["COIN", "SKEWED", "CORRELATED", "WILD", "ONE_MODEL", "TWO_OF_THREE", "PYTHON", "WRONG", "ORGANISM_COIN"]
)
def test_what_has_no_merit_is_not_earned(calibration, name):
    found = calibration.shares(getattr(calibration, name), AUDITS, (10,))
    assert found.words["earned"] * AUDITS <= few(0.025)


@pytest.mark.parametrize("name", ["COIN", "ONE_MODEL", "TWO_OF_THREE"])
def test_looking_often_earns_no_more(calibration, name):
    found = calibration.shares(getattr(calibration, name), AUDITS, (4, 6, 8, 10))
    assert found.words["earned"] * AUDITS <= few(0.025)


@pytest.mark.parametrize("name", ["COIN", "SKEWED", "QUIET"])
@pytest.mark.parametrize("looks", [(3,), (10,), (4, 6, 8, 10)])
def test_no_sign_is_given_to_nothing_more_often_than_promised(calibration, name, looks):
    found = calibration.shares(getattr(calibration, name), AUDITS, looks)
    assert found.signed * AUDITS <= few(0.05)


@pytest.mark.parametrize(
    ("name", "looks", "word", "least"),
    [
        ("TRUE", (10,), "earned", 0.95),
        ("TRUE", (4, 6, 8, 10), "earned", 0.95),
        ("ORGANISM_TRUE", (10,), "earned", 0.95),
        ("ORGANISM_PYTHON", (10,), "elicited", 0.8),
        ("PYTHON", (10,), "elicited", 0.8),
        ("WRONG", (10,), "worse", 0.95),
        ("QUIET", (10,), "indistinguishable", 0.8),
    ],
)
def test_what_can_be_known_is_said(calibration, name, looks, word, least):
    assert calibration.shares(getattr(calibration, name), AUDITS, looks).words[word] >= least


def test_a_true_reward_is_not_called_elicited_for_want_of_seeds(calibration):
    found = calibration.shares(calibration.TRUE, AUDITS, (3,))
    assert found.words["elicited"] * AUDITS <= few(0.05)
    assert found.by_interaction_alone > 0.2  # what the interaction alone would have said


def test_stopping_when_decided_saves_seeds(calibration):
    assert calibration.shares(calibration.TRUE, AUDITS, (4, 6, 8, 10)).mean_seeds < 8


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_the_t_interval_covers(calibration, n_seeds):
    scenario = calibration.HALF
    covered = 0
    for number in range(AUDITS * 2):
        run = calibration.simulate(scenario, "good-code", n_seeds, number)
        low, high = effect(run.differences).interval()
        covered += low <= calibration.effect_here(scenario, "good-code", run.easiness) <= high
    assert binomtest(covered, AUDITS * 2, 0.95).pvalue > 1e-5


def test_simulated_runs_have_the_spread_they_are_said_to_have(calibration):
    runs = [calibration.simulate(calibration.COIN, "good-code", 20, number) for number in range(100)]
    differences = np.stack([run.differences.by_seed for run in runs])
    # Two arms of sd .1 and correlation about .2, and 200 problems' noise: variance 2 * .01 * .8 and a little.
    assert np.sqrt(differences.var(axis=1, ddof=1).mean()) == pytest.approx(0.13, abs=0.008)
    assert abs(differences.mean()) < 5 * 0.13 / np.sqrt(2000)
    gains = [run.truth_gain.mean for run in runs]
    assert np.mean(gains) == pytest.approx(0.995 - 0.724, abs=0.01)


def test_the_true_effect_on_a_benchmark_is_the_mean_over_many_seeds(calibration):
    run = calibration.simulate(calibration.HALF, "bad-code", 4000, 1)
    expected = calibration.effect_here(calibration.HALF, "bad-code", run.easiness)
    assert abs(run.differences.mean - expected) < 5 * effect(run.differences).error


@pytest.mark.parametrize(("hits", "n"), [(0, 100), (3, 100), (100, 100)])
def test_clopper_pearson_agrees_with_statsmodels(calibration, hits, n):
    assert calibration.clopper_pearson(hits, n) == pytest.approx(proportion_confint(hits, n, method="beta"))


def test_always_underpowered_breaks_the_bounds(calibration):
    shy = calibration.Shares(
        scenario="truth",
        looks=(10,),
        audits=2000,
        words=dict.fromkeys(calibration.WORDS, 0.0) | {"underpowered": 1.0},
        earned_interval=calibration.clopper_pearson(0, 2000),
        signed=0.0,
        by_interaction_alone=0.0,
        mean_seeds=10,
    )
    assert [bound.kept for bound in calibration.bounds([shy], [])] == [False]
