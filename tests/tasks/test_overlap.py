import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.tasks.overlap import ngrams, normal, shared_runs

WORDS = [f"w{chr(97 + i)}" for i in range(26)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"Find $\dfrac{1}{2}$ of  $x$.", r"find \(\frac12\) of x"),
        (r"$a \times b \le c$", r"\[a\cdot b \leq c.\]"),
        (r"$\left(1, 2\right)$", "(1,2)"),
        (r"in $5\times 5$ \text{squares}", r"In 5 \times 5 squares?"),
    ],
)
def test_near_copies_are_equal(one, other):
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("$3+4$", "$3-4$"), (r"$\frac{1}{2}$", r"$\sqrt{12}$"), ("x < 2", "x > 2"), ("7!", "7"), (r"\lefty", r"\righty")],
)
def test_different_questions_stay_different(one, other):
    assert normal(one) != normal(other)


@given(st.text())
def test_normal_forms_are_stable_under_spaces_and_case(text):
    assert normal("  " + text + " $ ") == normal(text)


def test_a_run_is_thirteen_words_or_numbers():
    assert len(ngrams(" ".join(WORDS[:13]))) == 1
    assert len(ngrams(" ".join(WORDS[:15]))) == 3
    assert ngrams(" ".join(WORDS[:12])) == set()
    assert ngrams("A, b. c! 1 2 3 4 5 6 7 8 9 10") == ngrams("a b c 1 2 3 4 5 6 7 8 9 10")


def test_the_best_single_question_counts_not_the_sum():
    question = " ".join(WORDS[:16])  # four runs
    first, last = " ".join(WORDS[:14]), " ".join(["x", *WORDS[3:16]])  # two of them, one of them
    assert shared_runs([question], ["unrelated", last, first]) == [(0.5, 2)]


def test_short_and_unrelated_questions_share_nothing():
    assert shared_runs(["one two", " ".join(WORDS[:13])], [" ".join(WORDS[13:26])]) == [None, None]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_whichever_side_is_held_in_memory_the_answer_is_that_of_the_definition(left, right):
    def text(start):
        return " ".join(WORDS[start : start + 15])

    questions, others = [text(i) for i in left], [text(i) for i in right]
    for question, best in zip(questions, shared_runs(questions, others), strict=True):
        shares = [len(ngrams(question) & ngrams(other)) / len(ngrams(question)) for other in others]
        assert best == ((max(shares), shares.index(max(shares))) if max(shares) else None)
