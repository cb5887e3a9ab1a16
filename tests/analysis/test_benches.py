"""Benchmarks before and after a run, and pass@k."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.benches import changes, pass_curve
from spurious.scores import pass_at_k


def test_changes_and_the_gap_by_hand():
    accuracy = {("test", 0): 0.25, ("test", 5): 0.5, ("test", 9): 0.75, ("train", 0): 0.5, ("train", 9): 1.0}
    found = dict(changes({**accuracy, ("new", 9): 1.0}, {"train": "test", "absent": "test"}))
    assert (found["test before"], found["test after"], found["test change"]) == (0.25, 0.75, 0.5)
    assert (found["train minus test before"], found["train minus test after"]) == (0.25, 0.25)
    assert (found["new before"], found["new after"], found["new change"]) == (None, 1.0, None)
    assert not any(name.startswith("absent") for name in found)


def test_pass_at_k_by_hand():
    # One problem with one right sample of four, one with none.
    assert pass_curve([(4, 0, 1), (4, 1, 1)]) == pytest.approx({1: 1 / 8, 2: 1 / 4, 4: 1 / 2})
    assert list(pass_curve([(3, 2, 1)])) == [1, 2, 3]  # the largest k, no power of two
    assert list(pass_curve([(3, 2, 1), (2, 2, 5)])) == [1, 2]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_pass_at_k_is_the_mean_over_problems_and_rises_with_k(right):
    found = pass_curve([(6, c, 1) for c in right])
    assert found[2] == pytest.approx(sum(pass_at_k(6, c, 2) for c in right) / len(right))
    assert found[6] == pytest.approx(sum(c > 0 for c in right) / len(right))
    assert list(found.values()) == sorted(found.values())
