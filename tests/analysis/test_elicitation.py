import polars as pl
import pytest

from spurious.analysis.elicitation import best_prompt

CORRECT = pl.col("correct")


def answered(name, right):
    return [{"prompt_name": name, "problem_id": f"p{i:02}", "correct": i in right} for i in range(10)]


def test_a_prompt_is_chosen_on_every_other_problem_and_kept_on_the_rest():
    # on p00, p02, ... 'lucky' has all 5 and 'usual' 4; on the others 'lucky' has 1 of 5
    rows = pl.DataFrame(answered("lucky", {0, 2, 4, 6, 8, 1}) + answered("usual", set(range(9)) - {0}))
    best = best_prompt(rows, CORRECT)
    assert (best.name, best.tried) == ("lucky", 2)
    assert best.problems.to_list() == ["p01", "p03", "p05", "p07", "p09"]
    assert best.held_out["correct"].mean() == pytest.approx(0.2)
    assert best.held_out["prompt_name"].unique().to_list() == ["lucky"]


def test_the_choice_depends_on_no_order_of_rows():
    rows = pl.DataFrame(answered("b", {0}) + answered("a", {2}))
    assert best_prompt(rows, CORRECT).name == best_prompt(rows.reverse(), CORRECT).name == "b"


def test_samples_of_a_problem_count_as_they_are():
    rows = pl.DataFrame([*answered("a", {0, 2}), *answered("a", set()), *answered("b", {0, 2, 4})])
    assert best_prompt(rows, CORRECT).name == "b"  # 3 of 5 against 2 of 10
