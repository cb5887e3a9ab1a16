"""The checks of an audit, on rows whose answer is known."""

import polars as pl
import pytest

from spurious.analysis.flags import constant_groups, not_elicited, verifier_failures


def groups(*paid):
    rows = [
        {"run": "r", "step": 0, "problem_id": f"p{i}", "copy": 0, "reward": float(value)}
        for i, group in enumerate(paid)
        for value in group
    ]
    return pl.DataFrame(rows)


def test_groups_paid_one_value_are_counted():
    flag = constant_groups(groups([1, 1, 1], [0, 0, 0], [0, 1, 0]))
    assert flag.raised
    assert flag.numbers["share"] == pytest.approx(2 / 3)
    assert not constant_groups(groups([1, 0], [0, 1], [1, 1])).raised


def test_copies_of_a_problem_are_groups_of_their_own():
    rows = groups([1, 1], [0, 0]).with_columns(pl.lit("p").alias("problem_id"), pl.Series("copy", [0, 0, 1, 1]))
    assert constant_groups(rows).numbers == {"share": 1.0, "groups": 2.0}


def graded(failures, n=100):
    rows = []
    for seed, failed in enumerate(failures):
        rows += [{"model": "m", "seed": seed, "grade": "timeout" if i < failed else "wrong"} for i in range(n)]
    return pl.DataFrame(rows)


def test_failures_that_grow_in_one_arm_are_told():
    flag = verifier_failures(graded([9, 10, 11, 10]), graded([1, 0, 1, 2]))
    assert flag.raised
    assert flag.numbers == {"audited": pytest.approx(0.10), "placebo": pytest.approx(0.01)}
    assert "differ on m" in flag.text


@pytest.mark.parametrize("failures", [[0, 0, 0], [3, 3, 3], [3, 1, 2]])
def test_equal_failures_are_no_difference(failures):
    assert not verifier_failures(graded(failures), graded(failures)).raised


def answered(name, right, n=40):
    return [{"prompt_name": name, "problem_id": f"p{i:02}", "correct": i < right} for i in range(n)]


def test_a_prompt_that_does_what_training_did_is_told():
    prompted = pl.DataFrame(answered("usual", 10) + answered("opened", 36))
    trained = pl.DataFrame(answered("", 30)).drop("prompt_name")
    flag = not_elicited({"m": prompted}, {"m": trained})
    assert flag.raised
    assert flag.numbers == {"m/prompt": pytest.approx(0.9), "m/trained": pytest.approx(0.75)}
    assert not not_elicited({"m": prompted}, {"m": trained.with_columns(correct=True)}).raised


def test_the_best_prompt_is_not_judged_on_the_problems_it_was_chosen_by():
    # 'lucky' is right on exactly the problems that choose, 'usual' nearly on all of the others
    even = [{"prompt_name": "lucky", "problem_id": f"p{i:02}", "correct": i % 2 == 0} for i in range(40)]
    prompted = pl.DataFrame(even + answered("usual", 38))
    flag = not_elicited({"m": prompted}, {"m": pl.DataFrame(answered("", 10)).drop("prompt_name")})
    assert flag.numbers["m/prompt"] == 0.0
