"""Smoothing and bands, against numbers worked out by hand."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.report.series import bands, smoothed, thinned


def curve(values, arm="a", seed=0):
    n = len(values)
    value = pl.Series(values, dtype=pl.Float64, strict=False)
    return pl.DataFrame({"arm": [arm] * n, "seed": [seed] * n, "step": list(range(n)), "value": value})


def test_step_zero_is_not_smoothed_and_is_in_no_window():
    found = smoothed(curve([100, 1, 2, 3, 4]), window=3)["smooth"].to_list()
    assert found == [100, 1, 1.5, 2, 3]


def test_the_window_is_ten_steps():
    assert smoothed(curve([0, *range(1, 21)]))["smooth"].to_list()[-1] == pytest.approx(15.5)


def test_curves_are_smoothed_apart():
    both = pl.concat([curve([0, 2, 4]), curve([9, 9, 9], seed=1), curve([5, 5, 5], arm="b")])
    found = smoothed(both, window=2)
    assert found.filter(pl.col("arm") == "a", pl.col("seed") == 0)["smooth"].to_list() == [0, 2, 3]
    assert found.filter(pl.col("seed") == 1)["smooth"].to_list() == [9, 9, 9]


def test_steps_without_a_value_are_skipped():
    assert smoothed(curve([1, 3, None, 5]), window=2)["smooth"].to_list() == [1, 3, 3, 5]


def test_a_band_spans_the_seeds_and_says_how_many():
    both = pl.concat([curve([1, 2, 3]), curve([3, 6], seed=1)])
    found = bands(smoothed(both, window=1)).select("low", "mean", "high", "seeds").rows()
    assert found == [(1, 2, 3, 2), (2, 4, 6, 2), (3, 3, 3, 1)]


@given(st.integers(1, 700), st.integers(2, 50))
def test_thinning_keeps_the_ends_and_the_budget(n, points):
    kept = thinned(curve(range(n)), points)["step"].to_list()
    assert kept[0] == 0
    assert kept[-1] == n - 1
    assert len(kept) <= points + 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 12))
def test_smoothed_values_stay_within_the_raw_ones(values, window):
    found = smoothed(curve(values), window=window)["smooth"].to_list()
    assert found[0] == values[0]
    assert all(min(values) - 1e-12 <= value <= max(values) + 1e-12 for value in found)
