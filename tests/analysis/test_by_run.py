"""The analyses of whole runs: from completions to one value a run and quantity."""

import polars as pl
import pytest

from spurious.analysis.by_run import (
    ROLLOUTS,
    code_and_accuracy,
    collapses,
    counted,
    credits,
    kl_matched,
    onsets,
    same_problems,
    step_and_signal,
    strategy_changes,
)
from spurious.scores import CODE
from spurious.store.tables import COMPLETION_COLUMNS, ROLLOUT_COLUMNS, frame


def completion(step, problem, code, right, paid, sample=0):
    return {
        "step": step,
        "problem_id": problem,
        "copy": 0,
        "sample": sample,
        "grade": "correct" if right else "wrong",
        "strict_grade": "wrong",
        "reward": float(paid),
        "advantage": paid - 0.5,
        CODE: float(code),
    }


ROWS = [
    completion(0, "a", 1, 1, 1),
    completion(0, "a", 0, 0, 1, 1),
    completion(1, "b", 1, 0, 0),
    completion(1, "b", 0, 0, 1, 1),
]
ROLLOUT = frame(ROWS, {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS})


def named(table, **more):
    return table.with_columns(model=pl.lit("m"), arm=pl.lit("x"), seed=pl.lit(0)).with_columns(**more)


def values(table):
    return dict(table.select("quantity", "value").iter_rows())


def test_steps_and_the_whole_run_are_counted():
    steps = counted(ROLLOUT).steps.sort("step")
    assert steps[f"{ROLLOUTS}code_given_paid"].to_list() == [0.5, 0.0]
    assert steps[f"{ROLLOUTS}code_given_unpaid"].to_list() == [None, 1.0]
    assert steps[f"{ROLLOUTS}code_gap"].to_list() == [None, -1.0]
    assert steps[CODE].to_list() == [0.5, 0.5]
    found = values(credits(named(counted(ROLLOUT).whole)))
    assert found["paid"] == 0.75
    assert (found["correct_given_encouraged"], found["correct_given_discouraged"]) == (pytest.approx(1 / 3), 0)
    assert (found["code_given_paid"], found["code_given_unpaid"]) == (pytest.approx(1 / 3), 1)
    assert found["code_given_correct"] == 1
    assert counted(ROLLOUT.drop(CODE)).whole.is_empty()
    assert credits(pl.DataFrame()).is_empty()


def test_same_problems_in_training_and_in_benches_asked_twice():
    twice = [completion(step, "p", s == 0, step == 0, 0, s) for step in (0, 4) for s in (0, 1)]
    once = [completion(0, "p", 1, 1, 0)]
    evals = pl.concat(
        named(frame(rows, COMPLETION_COLUMNS), bench=pl.lit(name)) for name, rows in (("twice", twice), ("once", once))
    )
    found = values(same_problems(named(counted(ROLLOUT).whole), evals))
    assert found["training naive"] == pytest.approx(0.5)
    assert found["training within"] == pytest.approx(0.5)  # a: 1, b: 0
    assert found["twice before within"] == found["twice after naive"] == 0
    assert not any(name.startswith("once") for name in found)


def steps(accuracy, code, **more):
    n = len(accuracy)
    table = pl.DataFrame({"step": range(n), "truth/accuracy": accuracy, CODE: code, "tokens/mean_length": [9.0] * n})
    return named(table, **more)


def test_onsets_and_correlations_of_every_run():
    rising = [0.1] * 5 + [0.9] * 5
    both = pl.concat([steps(rising, [0.5] * 10), steps(rising, rising, seed=pl.lit(1))])
    first = values(onsets(both).filter(pl.col("seed") == 0))
    assert (first["code onset"], first["code change"]) == (None, 0)
    # Smoothed: .1, .1, .1, .26 and so on by .16 up to .9 at step 7; .18 and .82 lie halfway.
    assert (first["accuracy onset"], first["accuracy saturation"]) == (pytest.approx(2.5), pytest.approx(6.5))
    assert first["accuracy change"] == pytest.approx(0.8)
    flat, moving = (values(code_and_accuracy(both).filter(pl.col("seed") == seed)) for seed in (0, 1))
    assert set(flat.values()) == {None}
    assert moving["pearson"] == pytest.approx(1)
    assert onsets(pl.DataFrame()).is_empty()
    assert code_and_accuracy(both.drop(CODE)).is_empty()


def test_strategies_get_better_apart():
    counts = {"accuracy_with_code": [0.5, 1.0], "graded_with_code": [2, 6]}
    counts |= {"accuracy_without_code": [None, 0.25], "graded_without_code": [0, 8]}
    table = named(pl.DataFrame({"step": [0, 1], **{ROLLOUTS + name: column for name, column in counts.items()}}))
    found = values(strategy_changes(table))
    assert (found["code early"], found["code late"], found["code change"]) == (0.5, 1.0, 0.5)
    assert (found["language early"], found["language change"], found["language late n"]) == (None, None, 8)
    eight = pl.concat([table, table.with_columns(pl.col("step") + 2)] * 2)
    assert values(strategy_changes(eight))["code early n"] == 4  # two steps of eight, both of the first kind


def test_arms_are_matched_in_kl_seed_by_seed():
    def run(arm, seed, speed, slope):
        kl = [0.01 * speed * i for i in range(6)]
        table = {"step": range(6), "kl/to_start": kl, "entropy/mean": [1 - slope * one for one in kl], CODE: kl}
        return named(pl.DataFrame(table), arm=pl.lit(arm), seed=pl.lit(seed))

    steps = pl.concat([run("a", 0, 1, 2), run("b", 0, 3, 2), run("a", 1, 1, 4), run("b", 1, 3, 2), run("a", 2, 1, 2)])
    found = kl_matched(steps, [("a", "b"), ("a", "c")])
    assert found["arm"].unique().to_list() == ["a − b"]
    assert found["seed"].unique().sort().to_list() == [0, 1]  # seed 2 has no partner
    first, second = (values(found.filter(pl.col("seed") == seed)) for seed in (0, 1))
    assert (first["entropy"], first["KL"]) == (pytest.approx(0), pytest.approx(0.05))
    assert (second["entropy"], second["entropy last"]) == (pytest.approx(-0.05), pytest.approx(-0.1))
    assert first["code"] == pytest.approx(0)
    assert "accuracy" not in first
    assert kl_matched(pl.DataFrame(), [("a", "b")]).is_empty()


def test_steps_and_their_signal_and_collapses_of_every_run():
    n = 8
    table = {"step": range(n), "groups/signal": [0.5] * 4 + [0.0] * 4, "update/norm": [2.0] * 4 + [1.0] * 4}
    run = named(pl.DataFrame({**table, "kl/to_start": [0.1 * i for i in range(n)]}))
    found = values(step_and_signal(run))
    assert (found["norm without signal"], found["norm of other steps"]) == (1, 2)
    assert found["KL a step"] == pytest.approx(0.1)
    assert values(collapses(run)) == {"no signal": 4}
    assert set(values(step_and_signal(run.drop("update/norm")))) == {"KL a step"}
    assert collapses(pl.DataFrame()).is_empty()
