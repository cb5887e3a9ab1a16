"""The answer in numbers and in sentences, on a study whose numbers are known."""

from dataclasses import replace

import pytest
from report_store import BASE, DECLARED, GAINS, MODELS, PROBLEMS, study, write_run

from spurious.report import Outcome, answer, gather, single_run
from spurious.report.words import caveats, effect_rows, headline, model_contrasts


def test_levels_are_the_shares_solved(material):
    found = {(level.model, level.arm): level.mean for level in answer(material).levels}
    for model in MODELS:
        assert found[model, "base"] == pytest.approx(BASE[model] / PROBLEMS)
        for arm in ("ground truth", "random", "random, no clip"):
            assert found[model, arm] == pytest.approx((BASE[model] + GAINS[model, arm]) / PROBLEMS)


def test_effects_are_differences_paired_by_seed(material):
    good, none = answer(material).effects
    assert (good.model, none.model) == MODELS
    assert [seed for seed, _ in good.comparison.by_seed] == [0, 1, 2]
    assert [value for _, value in good.comparison.by_seed] == pytest.approx([12 / PROBLEMS] * 3)
    assert [value for _, value in none.comparison.by_seed] == pytest.approx([7 / 40, 8 / 40, 9 / 40])
    assert none.comparison.basis == "seeds"
    assert good.comparison.basis == "problems"


def test_the_headline_has_base_placebo_treatment_and_interval(material):
    text = headline(material, answer(material))
    for part in ("ground truth beats random by +20.0 points", "95 % interval", "45.0 % against 25.0 %", "base 25.0 %"):
        assert part in text
    assert "About this run only" not in text


def test_no_row_of_the_table_lacks_its_base_or_interval(material):
    for row in effect_rows(answer(material)):
        assert all(row[name] != "–" for name in ("base", "placebo_level", "treatment_level", "interval", "p"))
        assert "±" in row["base"]


def test_models_are_told_apart_by_their_difference_only(material):
    (sentence,) = model_contrasts(answer(material))
    assert "good-code minus no-code is +10.0 points" in sentence


def test_one_seed_is_about_this_run_only(tmp_path):
    one = study(tmp_path, seeds=(1,))
    text = headline(one, answer(one))
    assert text.startswith("About this run only: ")
    assert "beats" not in text
    assert any(note.startswith("One seed") for note in caveats(one, answer(one)))
    assert {row["verdict"] for row in effect_rows(answer(one))} == {"this run only"}
    assert {row["p"] for row in effect_rows(answer(one))} == {"–"}


def test_a_seed_without_its_pair_is_left_out_and_named(partial):
    effects = answer(partial).effects
    assert [one.comparison.n_seeds for one in effects] == [3, 2]
    assert effect_rows(answer(partial))[1]["treatment_level"].startswith("43.8 %")  # seeds 0 and 1 only
    notes = " ".join(caveats(partial, answer(partial)))
    assert "ground truth against random on no-code: seed 2 left out" in notes
    assert "2 of 18 runs are not done" in notes


def test_an_effect_is_called_none_only_within_the_declared_margin(material):
    same = replace(material, declared=replace(DECLARED, pairs=(("random", "random, no clip"),), margin=0.4))
    rows = {row["model"]: row["verdict"] for row in effect_rows(answer(same))}
    assert rows["no-code"] == "no effect"
    without = replace(same, declared=replace(same.declared, margin=None))
    assert {row["model"]: row["verdict"] for row in effect_rows(answer(without))}["no-code"] == "not told apart"
    assert "would have been seen" in headline(without, answer(without))


def test_without_evaluations_there_is_no_answer(material):
    elsewhere = replace(material, declared=replace(DECLARED, outcome=Outcome("accuracy", "final", "math500")))
    assert answer(elsewhere) is None
    assert headline(elsewhere, None).startswith("No answer yet")


def test_without_a_pair_there_is_no_answer(tmp_path):
    alone = gather(DECLARED, [write_run(tmp_path, "ground truth", "good-code", 0)])
    assert headline(alone, answer(alone)) == "No answer yet: no seed has both a treatment and its placebo."
    assert "no seed has both runs yet" in " ".join(caveats(alone, answer(alone)))


def test_a_single_run_is_compared_with_its_base_and_promises_nothing(tmp_path):
    cell = write_run(tmp_path, "random", "good-code", 1)
    run = single_run(cell.directory)
    text = headline(run, answer(run))
    assert text.startswith("About this run only: random on good-code went from 40.0 % to 50.0 % accuracy (+10.0 points")
    assert "No placebo was run" in text


def test_other_outcomes_have_their_own_unit(material):
    import polars as pl

    outcome = Outcome("tokens", "final", "chain", pl.col("n_tokens"))
    found = answer(replace(material, declared=replace(DECLARED, outcome=outcome)))
    assert found.unit.scale == 1
    assert found.effects[0].comparison.difference == 0
