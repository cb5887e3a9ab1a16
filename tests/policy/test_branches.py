from hypothesis import given
from hypothesis import strategies as st

from spurious.policy.branches import FEWEST_ROWS, Branches, advance


def test_completions_part_where_they_differ() -> None:
    """Of rows 0 to 4 the completions of 0 part, those of 1 stay together, 3 is finished and its place is taken."""
    branches = advance([0, 0, 1, 1, 2, 4], [7, 8, 5, 5, 6, 9], 5, 0.5)
    assert branches == Branches([0, 3, 1, 1, 2, 4], [0, 1, 2, 0, 4], [7, 5, 6, 8, 9])


def test_new_places_are_added_when_none_is_free() -> None:
    assert advance([0, 0, 1, 2, 3], [7, 8, 5, 5, 5], 4, 0.5) == Branches(
        [0, 4, 1, 2, 3], [0, 1, 2, 3, 0], [7, 5, 5, 5, 8]
    )


def test_the_last_rows_move_into_the_gaps_once_enough_are_free() -> None:
    few = [0, 2, 4, 6, 7], [1, 2, 3, 4, 5]
    assert advance(*few, 8, 0.5) == Branches([0, 2, 4, 6, 7], [*range(8)], [1, 0, 2, 0, 3, 0, 4, 5])
    assert advance(*few, 8, 0.7) == Branches([0, 2, 4, 1, 3], [0, 6, 2, 7, 4], [1, 4, 2, 5, 3])


@given(
    st.integers(FEWEST_ROWS, 9).flatmap(
        lambda rows: st.tuples(
            st.just(rows), st.lists(st.tuples(st.integers(0, rows - 1), st.integers(0, 3)), min_size=1, max_size=20)
        )
    ),
    st.sampled_from([0.5, 0.875, 1.0]),
)
def test_every_completion_reads_its_own_token_after_its_own_past(
    batch: tuple[int, list[tuple[int, int]]], fullest: float
) -> None:
    rows, completions = batch
    owners, tokens = [owner for owner, _ in completions], [token for _, token in completions]
    branches = advance(owners, tokens, rows, fullest)
    needed = len(set(completions))
    assert [branches.sources[place] for place in branches.owners] == owners
    assert [branches.tokens[place] for place in branches.owners] == tokens
    assert len(set(branches.owners)) == needed
    assert all(0 <= source < rows for source in branches.sources)
    assert len(branches.sources) == len(branches.tokens)
    fewest = max(needed, FEWEST_ROWS)
    assert len(branches.sources) == (fewest if fewest <= fullest * rows else max(fewest, rows))
