"""The tables of what completions do, against numbers worked out by hand and by other code."""

from math import sqrt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.tables import TABLES, behaviors, credit, grades, lengths, rewards, strategy
from spurious.scores import CODE, summarize
from spurious.store.tables import BEHAVIOR, COMPLETION_COLUMNS, ROLLOUT_COLUMNS, frame


def completion(problem, grade, code=0, *, step=1, strict=None, **more):
    return {
        "step": step,
        "problem_id": problem,
        "text": "x" * 10,
        "grade": grade,
        "strict_grade": strict or grade,
        "stop": "eos",
        CODE: float(code),
        **more,
    }


def table(*rows):
    return frame(rows, {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS})


BY_HAND = table(
    completion("a", "correct", 1, reward=1.0),
    completion("a", "wrong", 1, reward=1.0),
    completion("b", "correct", 1, reward=0.0, strict="absent"),
    completion("b", "absent", 0, reward=0.0),
    completion("c", "correct", 0, reward=0.5, step=0),
)


def test_strategy_by_hand():
    before, after = strategy(BY_HAND).to_dicts()
    assert (before["step"], before["accuracy"], before["accuracy_se"]) == (0, 1.0, None)
    assert (before["accuracy_with_code"], before["accuracy_without_code"]) == (None, 1.0)
    assert after == {
        "step": 1,
        "n": 4,
        "graded": 4,
        "accuracy": 0.5,
        "accuracy_se": 0.0,  # both problems at one half
        "strict_accuracy": 0.25,
        "code": 0.75,
        "accuracy_with_code": pytest.approx(2 / 3),
        "graded_with_code": 3,
        "accuracy_without_code": 0.0,
        "graded_without_code": 1,
        "code_given_correct": 1.0,
        "code_given_wrong": 0.5,
    }


def test_rewards_grades_and_lengths_by_hand():
    paid = rewards(BY_HAND).to_dicts()[1]
    assert (paid["rewarded"], paid["reward"], paid["reward_given_correct"], paid["reward_given_wrong"]) == (
        4,
        0.5,
        0.5,
        0.5,
    )
    mix = grades(BY_HAND).to_dicts()[1]
    assert (mix["correct"], mix["wrong"], mix["absent"], mix["failed"]) == (0.5, 0.25, 0.25, 0.0)
    rows = table(
        *(
            completion("a", "wrong", text="y" * n, n_tokens=n, stop=stop)
            for n, stop in ((1, "eos"), (2, "length"), (9, "eos"))
        )
    )
    (long,) = lengths(rows).to_dicts()
    assert (long["characters_mean"], long["tokens_median"], long["truncated"]) == (4.0, 2.0, pytest.approx(1 / 3))
    assert long["tokens_p90"] == pytest.approx(2 + 0.8 * 7)  # nine tenths of the way from the first to the last


def test_credit_by_hand():
    def one(grade, code, reward, advantage):
        return completion("a", grade, code, reward=reward, advantage=advantage)

    (found,) = credit(
        table(
            one("correct", 1, 1.0, 0.5),
            one("correct", 0, 1.0, 0.5),
            one("wrong", 1, 1.0, 0.5),
            one("correct", 0, 0.0, -1.5),
            one("wrong", 1, 0.0, 0.0),
        )
    ).to_dicts()
    assert (found["encouraged"], found["discouraged"], found["paid"]) == (3, 1, 0.6)
    assert (found["correct_given_encouraged"], found["correct_given_discouraged"]) == (pytest.approx(2 / 3), 1.0)
    assert (found["code_given_paid"], found["code_given_unpaid"]) == (pytest.approx(2 / 3), 0.5)
    # Paid and correct agree on the first two and on the last; a coin with shares .6 and .6 agrees in .36 + .16.
    assert found["agreement"] == pytest.approx(0.6)
    assert found["kappa"] == pytest.approx((0.6 - 0.52) / 0.48)


def test_credit_without_a_contrast_is_null():
    (same,) = credit(table(completion("a", "correct", 1, reward=1.0, advantage=0.0))).to_dicts()
    assert (same["encouraged"], same["correct_given_encouraged"], same["code_given_unpaid"]) == (0, None, None)
    assert (same["agreement"], same["kappa"]) == (1.0, None)
    (unknown,) = credit(table(completion("a", "correct"))).to_dicts()
    assert {unknown[name] for name in ("paid", "agreement", "kappa", "correct_given_discouraged")} == {None}


def test_unknown_is_null_and_never_zero():
    row = completion("a", None) | {"problem_id": None, "strict_grade": None, "step": None, "stop": None}
    (shares,) = strategy(table(row, row)).to_dicts()
    assert (shares["step"], shares["n"], shares["graded"]) == (None, 2, 0)
    assert {shares[name] for name in ("accuracy", "accuracy_se", "strict_accuracy", "accuracy_with_code")} == {None}
    assert grades(table(row)).to_dicts()[0]["correct"] is None
    assert lengths(table(row)).to_dicts()[0]["truncated"] is None
    assert rewards(table(row)).to_dicts()[0] | {"step": 0} == {
        "step": 0, "n": 1, "rewarded": 0, "reward": None, "reward_given_correct": None, "reward_given_wrong": None
    }  # fmt: skip


graded = st.tuples(st.sampled_from("abcd"), st.sampled_from(["correct", "wrong", "timeout"]), st.booleans())


@given(st.lists(graded, min_size=1, max_size=40))
def test_the_standard_error_is_that_of_a_ratio_over_problems(rows):
    (shares,) = strategy(table(*(completion(p, g, c) for p, g, c in rows))).to_dicts()
    accuracy = sum(g == "correct" for _, g, _ in rows) / len(rows)
    problems = {p for p, _, _ in rows}
    off = [sum((g == "correct") - accuracy for p, g, _ in rows if p == problem) for problem in problems]
    m = len(problems)
    assert shares["accuracy"] == pytest.approx(accuracy)
    if m == 1:
        assert shares["accuracy_se"] is None
    else:
        assert shares["accuracy_se"] == pytest.approx(
            sqrt(m / (m - 1) * sum(o * o for o in off)) / len(rows), abs=1e-12
        )


@given(st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3), min_size=2, max_size=8))
def test_tables_agree_with_the_scores_of_a_benchmark(problems):
    rows = table(
        *(
            completion(f"p{i}", "correct" if right else "wrong", code, n_tokens=5)
            for i, samples in enumerate(problems)
            for right, code in samples
        )
    )
    scores = summarize(rows)
    (shares,) = strategy(rows).to_dicts()
    for name in ("accuracy", "accuracy_se", "strict_accuracy", "accuracy_with_code", "accuracy_without_code"):
        assert shares[name] == (None if scores[name] is None else pytest.approx(scores[name], abs=1e-12))
    (mean,) = behaviors(rows).to_dicts()
    assert mean["code_reasoning"] == pytest.approx(scores[CODE]) == pytest.approx(shares["code"])
    (mix,) = grades(rows).to_dicts()
    assert all(
        mix[name.removeprefix("grade/")] == pytest.approx(scores[name]) for name in scores if name.startswith("grade/")
    )


@given(st.lists(st.tuples(graded, st.integers(0, 3)), min_size=1, max_size=30), st.randoms())
def test_steps_are_apart_and_in_order_and_rows_may_come_in_any(rows, random):
    ordered = [completion(*row, step=step) for row, step in rows]
    shuffled = random.sample(ordered, len(ordered))
    for name, make in TABLES.items():
        whole = make(table(*ordered))
        assert whole["step"].to_list() == sorted({step for _, step in rows}), name
        other = make(table(*shuffled))
        for one, two in zip(whole.rows(), other.rows(), strict=True):
            assert one == pytest.approx(two), name
        alone = [make(table(*(row for row in ordered if row["step"] == step))) for step in whole["step"]]
        for one, two in zip(whole.rows(), pl.concat(alone).rows(), strict=True):
            assert one == pytest.approx(two), name


def test_every_behavior_that_the_rows_have_is_in_the_table():
    (means,) = behaviors(table(completion("a", "wrong", 1, **{BEHAVIOR + "steps": 4.0}))).to_dicts()
    assert means == {"step": 1, "n": 1, "code_reasoning": 1.0, "steps": 4.0}
