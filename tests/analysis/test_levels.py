from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from spurious.analysis.levels import apart, bonett_price, change, fisher, level, mcnemar, newcombe, wilson

flags = st.lists(st.booleans(), min_size=1, max_size=60)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 10), (137, 200)])
def test_wilson_is_that_of_statsmodels(hits, n):
    assert wilson(hits, n) == pytest.approx(proportion_confint(hits, n, method="wilson"))


@pytest.mark.parametrize("tables", [(5, 1, 10, 10), (0, 0, 30, 50), (64, 12, 64, 436)])
def test_newcombe_is_that_of_statsmodels(tables):
    a, b, n_a, n_b = tables
    assert newcombe(*tables) == pytest.approx(confint_proportions_2indep(a, n_a, b, n_b, method="newcomb"))


@pytest.mark.parametrize(("up", "down"), [(0, 0), (1, 0), (3, 9), (10, 10), (0, 40)])
def test_mcnemar_is_that_of_statsmodels(up, down):
    assert mcnemar(up, down) == pytest.approx(their_mcnemar([[5, up], [down, 7]], exact=True).pvalue)


@pytest.mark.parametrize("tables", [(5, 1, 10, 10), (0, 0, 3, 4), (8, 2, 10, 17), (1, 9, 64, 100)])
def test_fisher_is_that_of_scipy(tables):
    a, b, n_a, n_b = tables
    assert fisher(*tables) == pytest.approx(stats.fisher_exact([[a, n_a - a], [b, n_b - b]]).pvalue)


def test_bonett_and_price_by_hand():
    # 6 rose, 2 fell, of 18: rates 7/20 and 3/20, so 0.2 +- 1.96 sqrt((0.5 - 0.04) / 20).
    low, high = bonett_price(6, 2, 18)
    assert (low + high) / 2 == pytest.approx(0.2)
    assert (high - low) / 2 == pytest.approx(1.959964 * (0.46 / 20) ** 0.5, rel=1e-6)


def test_the_paired_interval_covers_what_it_says():
    # Every outcome of 40 pairs with P(up) = 0.3 and P(down) = 0.1, weighted by its probability: no simulation.
    n, up, down = 40, 0.3, 0.1
    covered = 0.0
    for i in range(n + 1):
        for j in range(n + 1 - i):
            low, high = bonett_price(i, j, n)
            chance = comb(n, i) * comb(n - i, j) * up**i * down**j * (1 - up - down) ** (n - i - j)
            covered += chance * (low <= up - down <= high)
    assert 0.94 < covered < 0.97


def test_shares_that_do_not_vary_keep_an_interval():
    always = level([1.0] * 200)
    assert always.mean == 1
    assert always.interval == pytest.approx((0.9812, 1.0), abs=1e-4)
    same = change([1.0] * 200, [1.0] * 200)
    assert same.difference.mean == 0
    assert same.p == 1
    assert same.difference.interval is not None
    assert same.difference.interval[0] < 0 < same.difference.interval[1]


def test_zeros_and_ones_that_are_no_share_get_the_t_interval():
    assert level([0.0] * 50, share=False).interval == (0, 0)
    assert apart([0.0] * 50, [0.0] * 20, share=False)[0].interval == (0, 0)
    assert apart([0.0] * 50, [0.0] * 20)[0].interval == pytest.approx(newcombe(0, 0, 50, 20))


def test_lengths_get_the_t_interval_of_their_differences():
    before, after = [10.0, 12.0, 9.0, 30.0], [12.0, 13.0, 12.0, 34.0]
    one = change(before, after)
    theirs = stats.ttest_rel(after, before)
    assert one.difference.mean == pytest.approx(2.5)
    assert one.p == pytest.approx(theirs.pvalue)
    assert one.difference.interval == pytest.approx(tuple(theirs.confidence_interval()))


def test_two_sets_of_log_probabilities_are_told_apart_by_welch():
    a, b = [-1.0, -1.2, -0.9], [-2.0, -1.8, -2.5, -2.2]
    difference, p = apart(a, b)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    assert p == pytest.approx(theirs.pvalue)
    assert difference.interval == pytest.approx(tuple(theirs.confidence_interval()))
    assert difference.n == 7


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_a_change_and_its_reverse_are_opposite(pairs):
    before, after = ([float(pair[i]) for pair in pairs] for i in (0, 1))
    forth, back = change(before, after), change(after, before)
    assert forth.p == back.p
    assert forth.difference.mean == -back.difference.mean
    assert forth.difference.interval is not None
    assert back.difference.interval is not None
    assert forth.difference.interval == pytest.approx(tuple(-end for end in reversed(back.difference.interval)))


@given(flags)
def test_a_level_lies_in_its_interval(values):
    one = level(np.array(values, dtype=float))
    assert one.interval is not None
    assert one.interval[0] <= one.mean <= one.interval[1]


def test_what_is_no_pair_and_no_set_is_refused():
    with pytest.raises(ValueError, match="no pairs"):
        change([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="no problems"):
        level([])
    with pytest.raises(ValueError, match="two or more"):
        apart([1.0], [1.0, 0.0])
    assert level([2.5]).interval is None
