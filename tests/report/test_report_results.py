"""The tables and the summary of a study's results, on a study whose numbers are known."""

import json
from dataclasses import replace

import polars as pl
import pytest
from report_store import ARMS, BASE, DECLARED, GAINS, MODELS, PROBLEMS, SEEDS, STEPS, solved

from spurious.report.main_figures import main_figures
from spurious.report.measures import several
from spurious.report.static import export
from spurious.report.summary import document, found, rounded
from spurious.report.tables import CURVE_POINTS, TABLES, Results

BENCH = DECLARED.outcome.bench


@pytest.fixture(scope="module")
def results(material):
    return Results(replace(material, declared=replace(DECLARED, pairs=(("ground truth", "random"),))))


def test_levels_are_there_for_every_metric_and_arm(results):
    table = TABLES["levels"](results)
    accuracy = table.filter((pl.col("metric") == "accuracy") & (pl.col("bench") == BENCH))
    assert set(accuracy.select("model", "arm").iter_rows()) == {(m, a) for m in MODELS for a in ("base", *ARMS)}
    for row in accuracy.iter_rows(named=True):
        gain = GAINS.get((row["model"], row["arm"]), 0)
        assert row["mean"] == pytest.approx((BASE[row["model"]] + gain) / PROBLEMS)
        assert row["low_95"] <= row["mean"] <= row["high_95"]
        assert (row["seeds"], row["problems"]) == (3, PROBLEMS)
    assert {"strict_accuracy", "behavior/code_reasoning", "tokens"} < set(table["metric"])


def test_what_was_not_declared_stands_apart_and_is_corrected(results):
    table = TABLES["explored"](results)
    primary = table.filter(pl.col("bench") == BENCH)
    assert "accuracy" not in set(primary["metric"])  # the primary outcome is in effects
    code = primary.filter((pl.col("metric") == "behavior/code_reasoning") & (pl.col("model") == "good-code"))
    assert code["difference"].to_list() == [0.0]  # both arms answer as much in code
    assert (table["p_bh"] >= table["p"]).all()


def test_effects_carry_their_verdict(results):
    table = TABLES["effects"](results)
    assert table["verdict"].to_list() == ["+", "+"]
    assert table["difference"].to_list() == pytest.approx([12 / PROBLEMS, 8 / PROBLEMS])
    assert table["seeds_up"].to_list() == [3, 3]


def test_contrasts_hold_one_comparison_on_two_models(results):
    (row,) = TABLES["contrasts"](results).iter_rows(named=True)
    assert (row["model"], row["minus_model"]) == MODELS
    assert row["difference"] == pytest.approx(4 / PROBLEMS)


def test_contrasts_of_unrelated_effects_are_left_out(material):
    pairs = (("ground truth", "random"), ("random", "random, no clip"))
    table = TABLES["contrasts"](Results(replace(material, declared=replace(DECLARED, pairs=pairs))))
    assert table.height == 4  # two comparisons over models, two models over comparisons; not the two diagonals


def test_curves_are_means_and_ranges_over_seeds(results, material):
    table = TABLES["curves"](results)
    assert table.height == len(MODELS) * len(ARMS) * STEPS <= len(MODELS) * len(ARMS) * CURVE_POINTS
    row = table.filter((pl.col("model") == "no-code") & (pl.col("arm") == "random") & (pl.col("step") == 3))
    mine = material.metrics.filter(
        (pl.col("model") == "no-code") & (pl.col("arm") == "random") & (pl.col("step") == 3)
    )["truth/accuracy"]
    assert row["accuracy"][0] == pytest.approx(mine.mean())
    assert (row["accuracy_low"][0], row["accuracy_high"][0]) == (mine.min(), mine.max())
    assert row["seeds"][0] == len(SEEDS)


def test_switches_add_up_to_the_answers(results):
    table = TABLES["switches"](results)
    mine = table.filter((pl.col("model") == "good-code") & (pl.col("arm") == "ground truth"))
    assert mine["answers"].sum() == PROBLEMS * len(SEEDS)
    assert mine["net"].sum() == sum(solved("ground truth", "good-code", s, STEPS) - BASE["good-code"] for s in SEEDS)
    assert mine["contribution"].sum() == pytest.approx(1)


def test_analyses_are_over_the_seeds_of_each_arm(results):
    table = TABLES["analyses"](results)
    assert table.columns[:4] == ["analysis", "model", "arm", "quantity"]
    onset = table.filter((pl.col("analysis") == "onset") & (pl.col("quantity") == "accuracy change"))
    assert set(onset.select("model", "arm").iter_rows()) == {(model, arm) for model in MODELS for arm in ARMS}
    assert set(onset["of"]) == {len(SEEDS)}


def test_several_samples_give_pass_and_majority_by_problem():
    rows = pl.DataFrame(
        {
            "seed": [1] * 8,
            "problem_id": ["a"] * 4 + ["b"] * 4,
            "grade": ["correct", "correct", "wrong", "wrong", "wrong", "correct", "wrong", "wrong"],
            "extracted": ["1", "1", "2", "3", "5", "4", "5", None],
        }
    )
    table = several(rows).sort("problem_id")
    assert table["pass@2"].to_list() == pytest.approx([1 - 1 / 6, 1 - 3 / 6])
    assert table["pass@4"].to_list() == [1.0, 1.0]
    assert table["maj@4"].to_list() == [1.0, 0.0]
    assert several(rows.filter(pl.col("extracted") == "1").unique("problem_id")) is None
    assert several(rows.head(7)) is None


def test_the_summary_has_every_run_and_says_what_is_missing(partial):
    whole = found(Results(partial))
    assert len(whole["runs"]) == len(partial.cells) == 18
    assert sorted(one["state"] for one in whole["runs"])[-2:] == ["failed", "owed"]
    assert any("ArithmeticError" in sentence for sentence in whole["missing"])
    assert any("owed" in sentence for sentence in whole["missing"])
    assert any("seed 2 left out" in sentence for sentence in whole["missing"])
    assert [len(one["by_seed"]) for one in whole["comparisons"]] == [3, 2]
    assert [one["verdict"] for one in whole["comparisons"]] == ["+", "undecided"]  # two seeds decide nothing


def test_the_summary_of_a_whole_study(results):
    whole = found(results)
    assert whole["missing"] == []
    assert whole["seeds_found"] == list(SEEDS)
    good = whole["comparisons"][0]
    assert (good["arm"], good["against"], good["model"], good["verdict"]) == (
        "ground truth",
        "random",
        "good-code",
        "+",
    )
    assert good["base"] == pytest.approx(BASE["good-code"] / PROBLEMS)
    assert good["signs"]["up"] == 3
    assert good["equivalence"]["margin"] == DECLARED.margin
    assert {one["state"] for one in whole["runs"]} == {"done"}


def test_a_document_is_the_same_bytes_and_reads_back():
    value = {"b": [1.23456789, -0.0, 1e-9 / 3], "a": {"long": ["x" * 80, "y" * 80]}, "c": (True, None, 3)}
    text = document(value)
    assert text == document(dict(reversed(value.items())))
    assert json.loads(text) == rounded(value)
    assert json.loads(text)["b"] == [1.23457, 0.0, 3.33333e-10]
    assert text.index('"a"') < text.index('"b"') < text.index('"c"')
    assert '"b": [1.23457, 0.0, 3.33333e-10]' in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        document({"a": float("nan")})


@pytest.mark.slow
def test_the_same_figures_are_the_same_bytes(results, browser, tmp_path):
    pytest.importorskip("kaleido", reason="the extra 'figures' is not installed")
    figures = main_figures(results)
    assert [figure.slug for figure in figures][:2] == ["effect", "level-good-code"]
    drawn = [export(figures[:2], tmp_path / name, "svg", tables=False) for name in ("one", "two")]
    assert [path.read_bytes() for path in drawn[0]] == [path.read_bytes() for path in drawn[1]]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["effect.svg", "level-good-code.svg"]
