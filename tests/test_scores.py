import itertools
from fractions import Fraction
from statistics import fmean

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.scores import majority, mean_and_error, pass_at_k, summarize


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(case):
    n, correct, k = case
    subsets = list(itertools.combinations([True] * correct + [False] * (n - correct), k))
    assert pass_at_k(n, correct, k) == pytest.approx(float(Fraction(sum(map(any, subsets)), len(subsets))))


def test_pass_at_k_needs_k_samples():
    with pytest.raises(ValueError, match="needs at least 3"):
        pass_at_k(2, 1, 3)


def test_majority_counts_equivalent_answers_together_and_no_answer_never_wins():
    assert majority(["1/2", "0.5", "3", "3", "\\frac12"], [True, True, False, False, True])
    assert not majority([None, "", None, "4"], [True, True, True, False])
    assert not majority([None, None], [False, False])


def test_a_tie_is_broken_by_the_text():
    assert majority(["3", "7"], [False, True])
    assert majority(["7", "3"], [True, False])


def test_standard_error_by_hand():
    # 0, 1/2, 1: mean 1/2, sample variance 1/4, divided by 3 problems.
    assert mean_and_error([0.0, 0.5, 1.0]) == (0.5, pytest.approx((1 / 12) ** 0.5))
    assert mean_and_error([1.0]) == (1.0, None)


def rows(grades, code=None):
    flat = [(f"p{i}", j, grade) for i, problem in enumerate(grades) for j, grade in enumerate(problem)]
    return pl.DataFrame(
        {
            "problem_id": [p for p, _, _ in flat],
            "sample": [s for _, s, _ in flat],
            "grade": [g for _, _, g in flat],
            "strict_grade": ["absent" if g == "correct" and s == 1 else g for _, s, g in flat],
            "extracted": ["5" if g == "correct" else "6" for _, _, g in flat],
            "stop": ["length" if g == "absent" else "eos" for _, _, g in flat],
            "n_tokens": [10] * len(flat),
            "behavior/code_reasoning": code or [1.0, 0.0] * (len(flat) // 2),
        }
    )


def test_summary_by_hand():
    summary = summarize(rows([["correct", "correct"], ["correct", "wrong"], ["wrong", "absent"]]))
    assert summary["accuracy"] == fmean([1, 0.5, 0])
    assert summary["strict_accuracy"] == pytest.approx(fmean([0.5, 0.5, 0]))
    assert summary["pass@1"] == summary["accuracy"]
    assert summary["pass@2"] == pytest.approx(2 / 3)
    assert summary["maj@2"] == pytest.approx(1 / 3)  # p1: 5 against 6 is a tie, and 6 is the greater text
    assert summary["grade/correct"] == 0.5
    assert summary["truncated"] == pytest.approx(1 / 6)
    assert summary["accuracy_with_code"] == pytest.approx(2 / 3)
    assert summary["accuracy_without_code"] == pytest.approx(1 / 3)


def test_without_any_code_there_is_no_accuracy_with_code():
    summary = summarize(rows([["correct"], ["wrong"]], code=[0.0, 0.0]))
    assert summary["accuracy_with_code"] is None
    assert summary["accuracy_without_code"] == 0.5


def test_ragged_and_empty_tables_are_refused():
    with pytest.raises(ValueError, match="differ in their number"):
        summarize(rows([["correct", "wrong"], ["wrong"]], code=[0.0] * 3))
    with pytest.raises(ValueError, match="no completion rows"):
        summarize(rows([["correct"]], code=[0.0]).clear())
