import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis import Outcomes, paired_differences, read_outcomes
from spurious.errors import DataError


def rows(scores):
    """Completion rows from {(seed, problem): [right or not, ...]}."""
    return pl.DataFrame(
        [
            {"seed": seed, "problem_id": problem, "sample": j, "grade": "correct" if right else "wrong"}
            for (seed, problem), flags in scores.items()
            for j, right in enumerate(flags)
        ]
    )


GRID = {(0, "a"): [1, 0], (0, "b"): [1, 1], (7, "a"): [0, 0], (7, "b"): [1, 0]}


def test_outcomes_are_averaged_over_samples_by_hand():
    outcomes = read_outcomes(rows(GRID))
    assert outcomes.seeds == (0, 7)
    assert outcomes.problems == ("a", "b")
    assert outcomes.means.tolist() == [[0.5, 1.0], [0.0, 0.5]]
    assert outcomes.samples == 2
    # x(1 - x) / (k - 1) is 1/4, 0, 0, 1/4.
    assert outcomes.noise == pytest.approx(0.125)


@given(st.permutations(list(GRID)))
def test_the_order_of_rows_does_not_matter(order):
    outcomes = read_outcomes(rows({cell: GRID[cell] for cell in order}))
    assert outcomes.means.tolist() == [[0.5, 1.0], [0.0, 0.5]]


def test_any_column_can_be_the_outcome():
    table = rows(GRID).with_columns(pl.Series("behavior/code_reasoning", range(8)))
    outcomes = read_outcomes(table, value=pl.col("behavior/code_reasoning"))
    assert outcomes.means.tolist() == [[0.5, 2.5], [4.5, 6.5]]


def test_one_sample_tells_nothing_about_sampling_noise():
    assert read_outcomes(rows({(0, "a"): [1], (0, "b"): [0]})).noise is None


def test_copies_of_a_problem_are_averaged_like_samples():
    table = pl.concat([rows(GRID).with_columns(copy=pl.lit(copy)) for copy in (0, 1)])
    assert read_outcomes(table).samples == 4


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop("grade"), "column 'grade' is missing"),
        (lambda t: t.drop("seed"), "column 'seed' is missing"),
        (lambda t: t.clear(), "there are no rows"),
        (lambda t: t.with_columns(step=pl.int_range(pl.len())), "rows of 8 steps"),
        (lambda t: pl.concat([t, t[:1]]), "seed 0, problem 'a' has one sample twice"),
        (lambda t: t[1:], "seed 0, problem 'a' does not have 2 samples"),
        (lambda t: t.filter((pl.col("seed") != 7) | (pl.col("problem_id") != "b")), "seed 7 lacks problem 'b'"),
        (lambda t: t.with_columns(grade=pl.lit(None, pl.String)), "seed 0, problem 'a' has no finite value"),
    ],
)
def test_ragged_input_is_refused_by_name(spoil, message):
    with pytest.raises(DataError, match=message) as caught:
        read_outcomes(spoil(rows(GRID)), where="evals.parquet")
    assert str(caught.value).startswith("evals.parquet: ")


def test_a_value_that_is_not_finite_is_refused():
    table = rows(GRID).with_columns(score=pl.Series([0.0, float("nan"), *[1.0] * 6]))
    with pytest.raises(DataError, match="seed 0, problem 'a' has no finite value"):
        read_outcomes(table, value=pl.col("score"))


def outcomes(seeds, problems, noise=None):
    return Outcomes(tuple(seeds), tuple(problems), np.zeros((len(seeds), len(problems))), 1, noise)


@pytest.mark.parametrize(
    ("treatment", "placebo", "message"),
    [
        (outcomes([0, 1], "ab"), outcomes([0], "ab"), "the placebo lacks seed 1;"),
        (outcomes([0], "ab"), outcomes([0, 1, 2], "ab"), "the treatment lacks seed 1 and 1 more;"),
        (outcomes([0], "abc"), outcomes([0], "ab"), "the placebo lacks problem 'c';"),
    ],
)
def test_arms_that_do_not_match_are_refused_by_name(treatment, placebo, message):
    with pytest.raises(DataError, match=message):
        paired_differences(treatment, placebo, where="good-code")


def test_differences_keep_their_pairs():
    treatment = read_outcomes(rows(GRID))
    placebo = read_outcomes(rows({cell: [0, 1] for cell in GRID}))
    differences = paired_differences(treatment, placebo)
    assert differences.values.tolist() == [[0.0, 0.5], [-0.5, 0.0]]
    assert differences.by_seed.tolist() == [0.25, -0.25]
    assert differences.by_problem.tolist() == [-0.25, 0.25]
    assert differences.mean == 0.0
    assert differences.noise == pytest.approx(0.125 + 0.25)
