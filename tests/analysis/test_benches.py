"""Benchmarks before and after a run, and pass@k."""

import polars as pl
import pytest

from spurious.analysis.benches import changes, pass_curve, pass_curves
from spurious.scores import pass_at_k, summarize
from spurious.store.tables import COMPLETION_COLUMNS, frame


def rows(bench, step, *problems):
    """One string a problem, a sample a letter: + is right."""
    made = [
        {"step": step, "problem_id": f"p{i}", "sample": s, "grade": "correct" if sign == "+" else "wrong",
         "strict_grade": "wrong", "stop": "eos", "n_tokens": 1}
        for i, samples in enumerate(problems)
        for s, sign in enumerate(samples)
    ]  # fmt: skip
    return frame(made, COMPLETION_COLUMNS).with_columns(bench=pl.lit(bench))


def test_changes_and_the_gap_by_hand():
    run = pl.concat(
        [
            rows("test", 0, "+", "-", "-", "-"),
            rows("test", 5, "+", "+", "-", "-"),
            rows("test", 9, "+", "+", "+", "-"),
            rows("train", 0, "+", "-"),
            rows("train", 9, "+", "+"),
            rows("new", 9, "+"),
        ]
    )
    found = dict(changes(run, {"train": "test", "absent": "test"}))
    assert (found["test before"], found["test after"], found["test change"]) == (0.25, 0.75, 0.5)
    assert (found["train minus test before"], found["train minus test after"]) == (0.25, 0.25)
    assert (found["new before"], found["new change"]) == (None, None)
    assert not any(name.startswith("absent") for name in found)


def test_pass_at_k_by_hand():
    found = pass_curve(rows("b", 0, "+---", "----"))
    assert found == {1: pytest.approx(1 / 8), 2: pytest.approx(1 / 4), 4: pytest.approx(1 / 2)}
    assert pass_curve(rows("b", 0, "+-+", "---"))[3] == pytest.approx(0.5)  # the largest k, no power of two
    many = rows("b", 0, "+---+-", "+++---", "------", "+-----")
    scores = summarize(many)
    assert {f"pass@{k}": share for k, share in pass_curve(many).items()} == pytest.approx(
        {name: value for name, value in scores.items() if name.startswith("pass@")}
    )
    assert pass_at_k(4, 1, 2) == 0.5


def test_curves_of_benches_asked_more_than_once():
    run = pl.concat([rows("many", 0, "+-", "--"), rows("many", 3, "++", "+-"), rows("once", 0, "+")])
    found = dict(pass_curves(run))
    assert found == {
        "many before pass@1": 0.25,
        "many before pass@2": 0.5,
        "many after pass@1": 0.75,
        "many after pass@2": 1.0,
    }
