from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from spurious.analysis import Differences
from spurious.analysis.statistics import (
    EXACT_FLIPS,
    Estimate,
    benjamini_hochberg,
    bootstrap_interval,
    detectable_effect,
    effect,
    equivalence_p,
    holm,
    interaction,
    sign_flip_p,
    t_estimate,
    welch_estimate,
)

ps = st.lists(st.integers(0, 1000).map(lambda i: i / 1000), min_size=1, max_size=8)
samples = st.lists(st.integers(-50, 50).map(lambda i: i / 100), min_size=3, max_size=9).filter(
    lambda v: len(set(v)) > 1
)


def differences(values, seeds=None):
    array = np.asarray(values, dtype=float)
    return Differences(tuple(seeds or range(array.shape[0])), tuple(f"p{i}" for i in range(array.shape[1])), array)


def grid(name, n_seeds=6, n_problems=30, mean=0.1, seed_sd=0.1, problem_sd=0.2, noise=0.3):
    rng = np.random.Generator(np.random.Philox(key=name))
    return differences(
        mean
        + seed_sd * rng.standard_normal((n_seeds, 1))
        + problem_sd * rng.standard_normal((1, n_problems))
        + noise * rng.standard_normal((n_seeds, n_problems))
    )


@given(samples)
def test_t_interval_and_p_agree_with_statsmodels(values):
    estimate, peer = t_estimate(values), DescrStatsW(values)
    assert estimate.interval() == pytest.approx(peer.tconfint_mean(0.05))
    assert estimate.interval(0.1) == pytest.approx(peer.tconfint_mean(0.1))
    assert estimate.p == pytest.approx(peer.ttest_mean(0)[1])


def test_t_interval_by_hand():
    # Differences .1 .2 .3: mean .2, sd .1, error .1 / sqrt 3, t with 2 df at .975 is 4.302653.
    low, high = t_estimate([0.1, 0.2, 0.3]).interval()
    assert (low, high) == pytest.approx((0.2 - 4.302653 * 0.1 / sqrt(3), 0.2 + 4.302653 * 0.1 / sqrt(3)), abs=1e-6)


def test_no_spread_gives_a_point():
    assert t_estimate([0.1 + 0.2, 0.3, 0.3]).interval() == pytest.approx((0.3, 0.3))
    assert t_estimate([0.3, 0.3]).p == 0.0
    assert t_estimate([0.0, 0.0]).p == 1.0
    with pytest.raises(ValueError, match="two values"):
        t_estimate([1.0])


@given(samples, samples)
def test_welch_agrees_with_statsmodels(a, b):
    estimate = welch_estimate(t_estimate(a), t_estimate(b))
    peer = CompareMeans(DescrStatsW(a), DescrStatsW(b))
    assert estimate.interval() == pytest.approx(peer.tconfint_diff(0.05, usevar="unequal"))
    assert estimate.p == pytest.approx(peer.ttest_ind(usevar="unequal")[1])


def test_effect_over_seeds_is_the_regression_clustered_by_seed():
    data = grid(1)
    n_seeds, n_problems = data.values.shape
    clusters = np.repeat(np.arange(n_seeds), n_problems)
    fit = OLS(data.values.ravel(), np.ones(n_seeds * n_problems)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True
    )
    # statsmodels multiplies by G/(G-1) (N-1)/(N-k): with an intercept only, exactly ours.
    estimate = effect(data)
    assert (estimate.mean, estimate.error) == pytest.approx((fit.params[0], fit.bse[0]))
    assert estimate.basis == "seeds"


def test_one_seed_leaves_only_the_problems():
    data = grid(2, n_seeds=1)
    estimate = effect(data)
    assert estimate.basis == "problems"
    assert estimate.interval() == pytest.approx(DescrStatsW(data.values[0]).tconfint_mean())


def test_seeds_that_agree_to_the_last_digit_leave_the_problems():
    once = [0.0, 1.0, 1.0, 0.0, 1.0]
    estimate = effect(differences([once, once, once]))
    assert (estimate.basis, estimate.df) == ("problems", 4)
    assert estimate.interval() == pytest.approx(DescrStatsW(once).tconfint_mean())


def test_bit_identical_arms_have_no_effect_and_no_doubt():
    estimate = effect(differences(np.zeros((5, 8))))
    assert (estimate.interval(), estimate.p) == ((0.0, 0.0), 1.0)


def test_interaction_is_paired_by_seed_when_models_share_seeds():
    a, b = grid(3, n_problems=10), grid(4, n_problems=20)
    estimate = interaction(a, b)
    assert estimate.interval() == pytest.approx(DescrStatsW(a.by_seed - b.by_seed).tconfint_mean())


def test_interaction_is_welch_between_other_seeds():
    a, b = grid(3), grid(4, n_seeds=4)
    peer = CompareMeans(DescrStatsW(a.by_seed), DescrStatsW(b.by_seed))
    assert interaction(a, b).interval() == pytest.approx(peer.tconfint_diff(usevar="unequal"))


def test_interaction_of_single_runs_is_paired_by_problem():
    a, b = grid(5, n_seeds=1), grid(6, n_seeds=1)
    estimate = interaction(a, b)
    assert estimate.basis == "problems"
    assert estimate.interval() == pytest.approx(DescrStatsW(a.values[0] - b.values[0]).tconfint_mean())


def test_interaction_of_a_run_and_a_method_is_over_problems_at_best():
    estimate = interaction(grid(5, n_seeds=1), grid(6, n_seeds=4))
    assert estimate.basis == "problems"


@settings(max_examples=15)  # statsmodels takes 0.1 s for Holm
@given(ps)
def test_corrections_agree_with_statsmodels(values):
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
    assert benjamini_hochberg(values) == pytest.approx(list(multipletests(values, method="fdr_bh")[1]))


@given(samples, st.floats(0.01, 0.5))
def test_tost_agrees_with_statsmodels(values, margin):
    peer = ttost_paired(np.array(values), np.zeros(len(values)), -margin, margin)[0]
    assert equivalence_p(t_estimate(values), margin) == pytest.approx(peer, abs=1e-9)


@given(samples, st.floats(0.01, 0.5))
def test_tost_is_the_ninety_percent_interval_within_the_margin(values, margin):
    estimate = t_estimate(values)
    low, high = estimate.interval(0.1)
    assert (equivalence_p(estimate, margin) <= 0.05) == (-margin <= low and high <= margin)


def test_tost_without_spread_and_without_margin():
    assert equivalence_p(Estimate(0.1, 0.0, 2), 0.2) == 0.0
    assert equivalence_p(Estimate(0.3, 0.0, 2), 0.2) == 1.0
    with pytest.raises(ValueError, match="margin is positive"):
        equivalence_p(Estimate(0.1, 0.1, 2), 0.0)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 0.006])
def test_detectable_effect_has_the_power_that_statsmodels_computes(n, alpha):
    sd = 0.1
    found = detectable_effect(Estimate(0.0, sd / sqrt(n), n - 1), alpha=alpha)
    assert TTestPower().power(found / sd, n, alpha) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize("n", [2, 4, 7])
def test_sign_flips_are_enumerated(n):
    values = np.round(np.random.Generator(np.random.Philox(key=n)).normal(0.5, 1, n), 2)
    patterns = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=n)]
    expected = sum(pattern >= abs(values.sum()) - 1e-9 for pattern in patterns) / 2**n
    assert sign_flip_p(values, seed=0) == expected


def test_the_smallest_p_of_sign_flips_is_two_patterns():
    assert sign_flip_p([0.1, 0.2, 0.3, 0.4, 0.5], seed=0) == 2 / 2**5
    assert sign_flip_p([0.0, 0.0], seed=0) == 1.0


def test_sampled_sign_flips_agree_with_scipy_and_repeat():
    values = grid(8, n_seeds=1, n_problems=EXACT_FLIPS + 24, mean=0.12).values[0]
    ours = sign_flip_p(values, seed=1, draws=40_000)
    rng = np.random.Generator(np.random.Philox(key=9))
    peer = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=40_000, rng=rng).pvalue
    # Both are binomial shares of 40,000 draws; five standard deviations of their difference.
    assert abs(ours - peer) < 5 * sqrt(2 * peer * (1 - peer) / 40_000)
    assert ours == sign_flip_p(values, seed=1, draws=40_000)
    assert ours != sign_flip_p(values, seed=2, draws=40_000)


def test_two_way_bootstrap_agrees_with_enumeration():
    data = differences([[0.0, 1.0], [2.0, 5.0]])
    pairs = list(product(range(2), repeat=2))
    means = [data.values[np.ix_(s, p)].mean() for s in pairs for p in pairs]
    low, high = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    assert bootstrap_interval(data, seed=0, confidence=0.8, draws=20_000) == pytest.approx((low, high))


def test_two_way_bootstrap_is_a_loop_written_plainly():
    data = grid(10, n_seeds=8, n_problems=25)
    rng = np.random.Generator(np.random.Philox(key=11))
    means = [data.values[np.ix_(rng.integers(0, 8, 8), rng.integers(0, 25, 25))].mean() for _ in range(20_000)]
    low, high = bootstrap_interval(data, seed=3, draws=20_000)
    spread = np.std(means)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.1 * spread)


def test_bootstrap_draws_are_keyed_and_chunks_do_not_repeat_them():
    data = grid(12, n_seeds=3, n_problems=400)
    assert bootstrap_interval(data, seed=1, draws=6000) == bootstrap_interval(data, seed=1, draws=6000)
    assert bootstrap_interval(data, seed=1, draws=6000) != bootstrap_interval(data, seed=2, draws=6000)
    assert bootstrap_interval(data, seed=1, draws=6000) != bootstrap_interval(data, seed=1, draws=2500)
