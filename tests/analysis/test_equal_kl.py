"""Runs compared at equal KL, where the answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.equal_kl import at_equal_kl, common_grid, path


def line(end, slope, n=11):
    """A run that goes steadily to `end` while its value falls from 1 by `slope` a nat."""
    kl = np.linspace(0, end, n)
    return path(kl, 1 - slope * kl)


def test_a_slower_run_on_the_same_curve_does_not_differ():
    # At equal steps the entropies are .9 and .6; at equal KL they are the same.
    found = at_equal_kl(line(0.1, 1), line(0.4, 1))
    assert (found.mean, found.last, found.kl) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12), 0.1)


def test_another_curve_differs_by_hand():
    found = at_equal_kl(line(0.4, 1), line(0.2, 3))
    assert found.last == pytest.approx((1 - 0.2) - (1 - 0.6))
    assert found.mean == pytest.approx(0.2)  # a difference that grows linearly from 0 to .4
    assert found.kl == pytest.approx(0.2)


def test_runs_that_did_not_move_cannot_be_matched():
    still = path(np.array([0, 1e-9, 3e-9]), np.array([0.5, 0.5, 0.5]))
    assert at_equal_kl(still, line(0.4, 1)) is None
    assert at_equal_kl(line(0.4, 1), still) is None
    assert common_grid([still, line(0.4, 1)], 5) is None
    assert common_grid([line(0.1, 1), line(0.4, 1)], 3).tolist() == pytest.approx([0, 0.05, 0.1])


def test_a_kl_that_falls_is_pooled_with_its_values():
    found = path(np.array([0.0, 0.4, 0.2, 0.6]), np.array([1.0, 0.6, 0.8, 0.5]))
    assert found.kl.tolist() == pytest.approx([0.0, 0.3, 0.6])
    assert found.value.tolist() == pytest.approx([1.0, 0.7, 0.5])


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), min_size=1, max_size=20))
def test_pooling_is_the_closest_rising_sequence(drawn):
    kl, value = np.array(drawn, dtype=float).T
    found = path(kl, value)
    assert (np.diff(found.kl) > 0).all()
    # The least squares solution by its min-max formula (Robertson, Wright and Dykstra 1988, theorem 1.4.4).
    n = len(kl)
    closest = [max(min(kl[a : b + 1].mean() for b in range(i, n)) for a in range(i + 1)) for i in range(n)]
    assert sorted(set(np.round(closest, 9))) == pytest.approx(found.kl.tolist())
    assert found.value.min() >= value.min()
    assert at_equal_kl(found, found) is None or at_equal_kl(found, found).mean == 0
