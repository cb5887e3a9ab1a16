import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spurious.analysis.signs import deviation_interval, median_interval, signs

values = st.lists(st.integers(-3, 3).map(lambda i: i / 10), min_size=1, max_size=12)


@given(values)
def test_the_sign_test_agrees_with_the_binomial_test(sample):
    found = signs(sample)
    moved = found.up + found.down
    assert (found.up, found.equal, moved + found.equal) == (
        sum(v > 0 for v in sample),
        sum(v == 0 for v in sample),
        len(sample),
    )
    assert found.p == pytest.approx(stats.binomtest(found.up, moved).pvalue if moved else 1.0)


@given(values)
def test_the_sign_test_does_not_care_which_side_is_up(sample):
    one, other = signs(sample), signs([-v for v in sample])
    assert (one.up, one.down, one.p) == (other.down, other.up, other.p)


def test_eight_of_ten_up_by_hand():
    # 2 (1 + 10 + 45) / 1024
    assert signs([0.1] * 8 + [-0.1] * 2).p == pytest.approx(112 / 1024)


def test_rounding_is_no_sign():
    assert signs([1e-15, -1e-15, 0.2]).equal == 2


def test_median_intervals_by_hand():
    # n = 10: P(fewer than 2 of 10 below the median) = 11 / 1024 a side, so 2nd to 9th cover 97.9 %; 3rd to 8th 89.1 %.
    assert median_interval([9, 1, 8, 2, 7, 3, 6, 4, 5, 10]) == (2, 9)
    assert median_interval(range(6)) == (0, 5)  # 96.9 %
    assert median_interval(range(5)) is None  # 93.8 %
    assert median_interval([3.0]) is None
    assert median_interval([1, 2, 3], confidence=0) == (2, 2)


@pytest.mark.parametrize("n", [6, 9, 12])
def test_median_intervals_cover_as_often_as_they_say(n):
    """Over all 2^n patterns of above and below the true median, each as likely as any other."""
    low, high = median_interval(range(n))
    held = narrower = 0
    for pattern in product((-1, 1), repeat=n):
        ordered = sorted(pattern)
        held += ordered[int(low)] <= 0 <= ordered[int(high)]
        narrower += ordered[int(low) + 1] <= 0 <= ordered[int(high) - 1]
    assert narrower / 2**n < 0.95 <= held / 2**n


def test_the_interval_of_a_deviation_by_hand():
    # sd 2.5 of three values; chi squared with two degrees of freedom has the quantiles -2 log .975 and -2 log .025.
    low, high = deviation_interval([17.5, 20, 22.5])
    assert low == pytest.approx(2.5 / (-math.log(0.025)) ** 0.5)
    assert high == pytest.approx(2.5 / (-math.log(0.975)) ** 0.5)
    assert deviation_interval([1.0]) is deviation_interval([1.0, 1.0]) is None


def test_the_interval_of_a_deviation_covers_as_often_as_it_says():
    drawn = np.random.default_rng(0).normal(0, 2, size=(2000, 6))
    found = [deviation_interval(row) for row in drawn]
    assert sum(low <= 2 <= high for low, high in found) / 2000 == pytest.approx(0.95, abs=0.015)
