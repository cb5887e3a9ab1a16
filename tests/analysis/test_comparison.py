import json
from dataclasses import asdict

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from spurious.analysis import Outcomes, compare, compare_family
from spurious.analysis.comparison import components
from spurious.analysis.outcomes import Differences
from spurious.analysis.statistics import bootstrap_interval, holm
from spurious.errors import DataError


def outcomes(name, n_seeds=5, n_problems=12, mean=0.5, noise=None):
    rng = np.random.Generator(np.random.Philox(key=name))
    values = mean + 0.1 * rng.standard_normal((n_seeds, 1)) + 0.2 * rng.standard_normal((n_seeds, n_problems))
    return Outcomes(tuple(range(n_seeds)), tuple(f"p{i:02}" for i in range(n_problems)), values, 1, noise)


def test_a_comparison_holds_every_number_of_the_report():
    treatment, placebo = outcomes(1, mean=0.7), outcomes(2)
    result = compare(treatment, placebo, seed=0, margin=0.02, draws=2000)
    by_seed = (treatment.means - placebo.means).mean(axis=1)
    assert (result.scope, result.basis, result.n_seeds, result.n_problems) == ("method", "seeds", 5, 12)
    assert result.treatment - result.placebo == pytest.approx(result.difference) == pytest.approx(by_seed.mean())
    assert [value for _, value in result.by_seed] == pytest.approx(list(by_seed))
    assert result.interval == pytest.approx(DescrStatsW(by_seed).tconfint_mean())
    assert result.p_flip_seeds in {2 * k / 2**5 for k in range(1, 17)}
    assert result.bootstrap == bootstrap_interval(
        Differences(treatment.seeds, treatment.problems, treatment.means - placebo.means), seed=0, draws=2000
    )
    assert result.equivalence is not None
    assert not result.equivalence.shown
    assert result.detectable > 0


def test_one_seed_is_a_statement_about_this_run_only():
    result = compare(outcomes(1, n_seeds=1), outcomes(2, n_seeds=1), seed=0)
    assert (result.scope, result.basis) == ("this run only", "problems")
    assert result.bootstrap is None
    assert result.p_flip_seeds is None
    assert result.interval is not None


def test_one_seed_and_one_problem_have_a_difference_and_nothing_else():
    result = compare(outcomes(1, 1, 1), outcomes(2, 1, 1), seed=0, margin=0.1)
    assert (result.interval, result.p, result.detectable, result.equivalence) == (None, None, None, None)
    assert result.p_flip_problems == 1.0
    assert json.loads(json.dumps(asdict(result)))["interval"] is None


def test_a_missing_seed_is_named_with_its_member():
    arms = {"good-code": (outcomes(1), outcomes(2)), "bad-code": (outcomes(3), outcomes(4, n_seeds=4))}
    with pytest.raises(DataError, match="bad-code: the placebo lacks seed 4"):
        compare_family(arms, seed=0)


def test_a_family_is_corrected_over_all_its_members():
    arms = {name: (outcomes(10 * i, mean=0.65), outcomes(10 * i + 1)) for i, name in enumerate("abc", start=1)}
    arms["d"] = (outcomes(91, 1, 1), outcomes(92, 1, 1))
    family = compare_family(arms, seed=0, draws=200)
    ps = [1.0 if item.p is None else item.p for item in family.comparisons.values()]
    assert list(family.adjusted.values()) == holm(ps)
    assert family.adjusted["d"] == 1.0
    assert [contrast.models for contrast in family.contrasts] == [("a", "b"), ("a", "c"), ("b", "c")]
    explored = compare_family(arms, seed=0, draws=200, correction="benjamini-hochberg")
    assert all(explored.adjusted[name] <= family.adjusted[name] for name in arms)


def test_components_by_hand():
    # Seed effects -1, 1 and problem effects -2, 2 without anything else: variances 2 and 8, over 2 each.
    parts = components(Differences((0, 1), ("p", "q"), np.array([[-3.0, 1.0], [-1.0, 3.0]])))
    assert (parts.seed, parts.question, parts.rest) == pytest.approx((1.0, 4.0, 0.0))
    assert parts.rollout is None


def test_components_of_one_seed_are_not_told_apart():
    parts = components(Differences((0,), ("p", "q"), np.array([[0.0, 1.0]]), noise=0.5))
    assert (parts.seed, parts.question, parts.rest) == (None, None, None)
    assert parts.rollout == pytest.approx(0.25)


def test_components_recover_what_went_in():
    rng = np.random.Generator(np.random.Philox(key=5))
    found = []
    for _ in range(400):
        values = (
            0.3 * rng.standard_normal((6, 1))
            + 0.4 * rng.standard_normal((1, 20))
            + 0.2 * rng.standard_normal((6, 20))  # seed by problem
            + 0.5 * rng.standard_normal((6, 20))  # rollout
        )
        parts = components(Differences(tuple(range(6)), tuple(map(str, range(20))), values, noise=0.25))
        found.append((parts.seed, parts.question, parts.rollout, parts.rest))
    expected = (0.09 / 6, 0.16 / 20, 0.25 / 120, 0.04 / 120)
    # Four standard errors of 400 repetitions, and 2 % for the negative estimates that are cut at 0.
    errors = np.std(found, axis=0) / 20
    assert np.all(np.abs(np.mean(found, axis=0) - expected) < 4 * errors + 0.02 * np.array(expected))
