"""Strategy switches and partial contributions, against the paper's figure 7 and against counting by hand."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.strategies import Subset, Switches, pooled, switches
from spurious.errors import DataError

# Sizes and accuracies (percent, before and after) as printed in the paper's figure 7.
PRINTED = {
    "ground truth": ((165, 63.6, 72.1), (160, 58.1, 78.1), (72, 27.8, 77.8), (103, 28.2, 88.3)),
    "majority": ((243, 60.9, 70.8), (82, 61.0, 78.0), (119, 23.5, 80.7), (56, 37.5, 89.3)),
    "incorrect": ((301, 60.5, 69.8), (24, 66.7, 83.3), (129, 22.5, 77.5), (46, 43.5, 82.6)),
}
SHARES = {
    "ground truth": (9.7, 22.2, 25.0, 43.1),
    "majority": (17.8, 10.4, 50.4, 21.5),
    "incorrect": (23.1, 3.3, 58.7, 14.9),
}
AFTER = {"ground truth": 78.2, "majority": 76.4, "incorrect": 73.6}
NAMES = ("CC", "CL", "LC", "LL")


def from_print(reward):
    """The whole numbers of right answers that the printed percentages stand for."""
    return Switches(
        tuple(
            Subset(name, n, round(n * before / 100), round(n * after / 100))
            for name, (n, before, after) in zip(NAMES, PRINTED[reward], strict=True)
        )
    )


def rows(*answers):
    """One row an answer: (problem, shows code, right)."""
    return pl.DataFrame(
        {
            "problem_id": [problem for problem, _, _ in answers],
            "sample": [0] * len(answers),
            "grade": ["correct" if right else "wrong" for _, _, right in answers],
            "behavior/code_reasoning": [float(code) for _, code, _ in answers],
        }
    )


@pytest.mark.parametrize("reward", PRINTED)
def test_contributions_are_the_papers(reward):
    found = from_print(reward)
    assert [round(100 * share, 1) for share in found.contributions().values()] == list(SHARES[reward])
    assert found.size == 500
    assert round(100 * sum(s.before for s in found.subsets) / 500, 1) == 49.4
    assert round(100 * sum(s.after for s in found.subsets) / 500, 1) == AFTER[reward]


def test_subsets_are_counted_by_hand():
    before = rows(("a", 1, 0), ("b", 1, 1), ("c", 0, 0), ("d", 0, 0), ("e", 0, 1))
    after = rows(("e", 0, 0), ("d", 1, 1), ("c", 1, 1), ("b", 0, 1), ("a", 1, 1))
    found = switches(before, after)
    assert found.subsets == (Subset("CC", 1, 0, 1), Subset("CL", 1, 1, 1), Subset("LC", 2, 0, 2), Subset("LL", 1, 1, 0))
    assert found["LC"].net == 2
    assert found.contributions() == {"CC": 0.5, "CL": 0.0, "LC": 1.0, "LL": -0.5}


def test_a_loss_has_shares_too():
    found = switches(rows(("a", 1, 1), ("b", 0, 1)), rows(("a", 0, 0), ("b", 0, 1)))
    assert found.net == -1
    assert found.contributions() == {"CC": 0.0, "CL": 1.0, "LC": 0.0, "LL": 0.0}


def test_no_change_on_balance_has_no_shares():
    found = switches(rows(("a", 1, 1), ("b", 0, 0)), rows(("a", 0, 0), ("b", 0, 1)))
    assert found.net == 0
    assert set(found.contributions().values()) == {None}


def test_samples_of_a_problem_are_paired_by_their_number():
    both = rows(("a", 1, 0), ("a", 0, 0)).with_columns(sample=pl.Series([0, 1]))
    found = switches(both, both.reverse())
    assert [subset.size for subset in found.subsets] == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (rows(("a", 1, 1)), rows(("b", 1, 1)), "'a' is missing after"),
        (rows(("a", 1, 1)), rows(("a", 1, 1), ("b", 1, 1)), "'b' is missing before"),
        (rows(("a", 1, 1), ("a", 1, 1)), rows(("a", 1, 1)), "'a' has one sample twice"),
        (rows(("a", 1, 1)).drop("behavior/code_reasoning"), rows(("a", 1, 1)), "column 'behavior/code_reasoning'"),
        (rows(("a", 1, 1)).with_columns(grade=pl.lit(None, pl.String)), rows(("a", 1, 1)), "'a' has no grade"),
    ],
)
def test_tables_that_do_not_match_are_refused(before, after, words):
    with pytest.raises(DataError, match=words):
        switches(before, after, where="seed 3")


answers = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(answers)
def test_subsets_partition_the_answers_and_shares_add_up(drawn):
    before = rows(*((f"p{i}", code, right) for i, (code, right, _, _) in enumerate(drawn)))
    after = rows(*((f"p{i}", code, right) for i, (_, _, code, right) in enumerate(drawn)))
    found = switches(before, after)
    assert found.size == len(drawn)
    assert found.net == sum(d[3] for d in drawn) - sum(d[1] for d in drawn)
    shares = found.contributions().values()
    if found.net:
        assert sum(shares) == pytest.approx(1)
    assert pooled([found, found]).contributions() == found.contributions()
    assert pooled([found, found]).size == 2 * len(drawn)
