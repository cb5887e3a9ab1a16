"""Code against language within problems, where difficulty explains everything, something or nothing."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.same_problem import quantities, same_problem
from spurious.scores import CODE


def rows(*completions):
    """(problem, step, code, right)."""
    return pl.DataFrame(
        [
            {"problem_id": p, "step": step, CODE: float(code), "grade": "correct" if right else "wrong"}
            for p, step, code, right in completions
        ],
        schema={"problem_id": pl.String, "step": pl.Int64, CODE: pl.Float64, "grade": pl.String},
    )


def test_difficulty_alone():
    # The easy problem is answered in code and right, the hard one in words and wrong; within both, code adds nothing.
    easy = [("easy", 0, True, True)] * 6 + [("easy", 0, False, True)] * 2
    hard = [("hard", 0, True, False)] * 2 + [("hard", 0, False, False)] * 6
    found = same_problem(rows(*easy, *hard))
    assert found.naive == pytest.approx(6 / 8 - 2 / 8)
    assert (found.within, found.problems, found.of) == (0.0, 2, 2)
    assert dict(quantities(found))["explained by the problem"] == pytest.approx(0.5)


def test_by_hand():
    found = same_problem(
        rows(
            ("a", 0, True, True),
            ("a", 0, False, False),  # a, step 0: +1
            ("a", 1, True, True),
            ("a", 1, True, False),
            ("a", 1, False, True),  # a, step 1: -1/2, so a: 1/4
            ("b", 0, True, True),
            ("b", 0, False, True),
            ("b", 0, False, False),  # b: +1/2
            ("c", 0, True, False),  # only code
            ("b", 1, False, False),  # only language at this step
        )
    )
    assert found.within == pytest.approx((0.25 + 0.5) / 2)
    assert (found.problems, found.of) == (2, 3)
    assert found.naive == pytest.approx(3 / 5 - 2 / 5)
    assert found.error.basis == "problems"
    assert found.error.error == pytest.approx(0.125)  # sd of .25 and .5 over sqrt 2


def test_undefined_without_both_kinds():
    only = same_problem(rows(("a", 0, True, True), ("b", 0, True, False)))
    assert (only.naive, only.within, only.error, only.problems, only.of) == (None, None, None, 0, 2)
    apart = same_problem(rows(("a", 0, True, True), ("b", 0, False, False)))
    assert (apart.naive, apart.within) == (1.0, None)
    assert set(dict(quantities(apart)).values()) == {1.0, None}
    assert same_problem(rows(("a", 0, True, True), ("a", 0, False, True))).error is None
    assert same_problem(rows()).of == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.booleans(), st.booleans()), max_size=40))
def test_a_reward_for_truth_alone_cannot_leave_the_unit_interval(drawn):
    found = same_problem(rows(*drawn))
    assert found.problems <= found.of
    if found.within is not None:
        assert -1 <= found.within <= 1
        assert found.naive is not None
