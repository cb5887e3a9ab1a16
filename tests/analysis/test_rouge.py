import sys
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.rouge import longest_common_subsequence, rouge_l, units

short = st.text(alphabet="abc", max_size=7)


@pytest.mark.parametrize(
    ("a", "b", "length"),
    [
        ("", "abc", 0),
        ("abc", "abc", 3),
        ("abcbdab", "bdcaba", 4),  # Cormen et al., figure 15.8: BCBA
        (["police", "killed", "the", "gunman"], ["police", "kill", "the", "gunman"], 3),  # Lin 2004, section 3.1
        (["police", "killed", "the", "gunman"], ["the", "gunman", "kill", "police"], 2),
        ("abc", "def", 0),
    ],
)
def test_the_longest_common_subsequence_by_hand(a, b, length):
    assert longest_common_subsequence(a, b) == length


@given(short, short)
def test_it_is_the_longest_of_all_common_subsequences(a, b):
    common = {"".join(part) for n in range(len(a) + 1) for part in combinations(a, n)} & {
        "".join(part) for n in range(len(b) + 1) for part in combinations(b, n)
    }
    assert longest_common_subsequence(a, b) == max(map(len, common))


@given(short, short)
def test_it_has_no_direction(a, b):
    assert longest_common_subsequence(a, b) == longest_common_subsequence(b, a)
    assert longest_common_subsequence(a, b) == longest_common_subsequence(a[::-1], b[::-1])


def test_rouge_l_by_hand():
    # Units: 3 + 4 * 7 and 3 + 5 * 7, of which 3 + * 7 are common and in order: 2 * 4 / (5 + 5).
    assert rouge_l("3+4*7", "3+5*7") == pytest.approx(0.8)
    # Lin's example: 3 common words of 4 and 4.
    assert rouge_l("police killed the gunman", "Police kill the gunman") == pytest.approx(0.75)
    assert rouge_l("a b", "a b c d") == pytest.approx(2 * 2 / 6)
    assert rouge_l("", "") == 1
    assert rouge_l("a", "") == 0


def test_marks_are_units_since_they_are_mathematics():
    assert units(r"Find $\frac{12}{7}$_x!") == [
        "find",
        "$",
        "\\",
        "frac",
        "{",
        "12",
        "}",
        "{",
        "7",
        "}",
        "$",
        "_",
        "x",
        "!",
    ]


def test_memory_is_that_of_the_shorter_text():
    import tracemalloc

    a, b = list(range(20_000)), list(range(0, 40, 2))
    tracemalloc.start()
    try:
        assert longest_common_subsequence(a, b) == 20
        assert tracemalloc.get_traced_memory()[1] < sys.getsizeof(a) / 4
    finally:
        tracemalloc.stop()
