"""Reward and truth, onset, and code against accuracy, as figures, tables and numbers."""

import json
from dataclasses import replace

import polars as pl
import pytest
from report_store import STEPS, write_run

from spurious.analysis.seeds import long
from spurious.report import analyses, answer, gather
from spurious.report.association import association_figures, association_tables, lag_profile
from spurious.report.credit import credit_curves, credit_table
from spurious.report.equal_kl import kl_curves, kl_table
from spurious.report.habit import CODE
from spurious.report.long_run import (
    bench_figure,
    bench_table,
    collapse_notes,
    pass_figures,
    train_benches,
)
from spurious.report.onset import onset_figures
from spurious.report.palette import arm_styles
from spurious.report.seeds import Shown, cell, seed_figure, seed_table, spoken
from spurious.report.spread import spread_table
from spurious.report.steps import signal_figure, signal_table


@pytest.fixture(scope="module")
def styles(material):
    return arm_styles(material.arms)


def table_of(*rows):
    return long({"model": "m", "arm": arm, "seed": seed, "quantity": "q", "value": value} for arm, seed, value in rows)


TWO = (("a", 0, 0.1), ("a", 1, 0.3), ("b", 0, None), ("b", 1, None))
STYLES = arm_styles(["a", "b"])
SHOWN = Shown("q", "share", 100, 1, " %")


def test_a_seed_figure_draws_seeds_interval_and_mean():
    found = seed_figure("kind", "Title", table_of(*TWO), "m", [SHOWN], STYLES, x="x")
    dots, bar, mean = found.data
    assert (dots["x"], dots["customdata"]) == ([10.0, 30.0], [0, 1])
    half = 12.7062 * 10  # t of one degree of freedom, standard error 10
    assert bar["x"] == pytest.approx([20 - half, 20 + half], abs=0.2)
    assert mean["x"] == [20.0]
    assert [note["text"] for note in found.layout["annotations"]] == ["undefined"]
    assert "b: share undefined" in found.description
    assert found.table.filter(pl.col("seed") == "mean")["value"].to_list() == [0.2, None]


def test_nothing_defined_is_no_figure_and_no_table():
    assert seed_figure("kind", "Title", table_of(("b", 0, None)), "m", [SHOWN], STYLES, x="x") is None
    assert seed_table("Title", table_of(("b", 0, None)), "m", [SHOWN], ["b"]) is None
    assert seed_table("Title", table_of(*TWO), "another", [SHOWN], ["a"]) is None
    assert lag_profile(table_of(*TWO), "m", STYLES, CODE) is None


def test_cells_say_what_they_stand_on():
    def row(mean, seeds, of, low=None, high=None):
        return {"mean": mean, "low_95": low, "high_95": high, "seeds": seeds, "of": of}

    assert cell(SHOWN, row(0.5, 3, 3, 0.4, 0.6)) == ("50.0", "40.0 to 60.0")
    assert cell(SHOWN, row(0.5, 2, 3, 0.4, 0.6)) == ("50.0", "40.0 to 60.0, 2 of 3 seeds")
    assert cell(SHOWN, row(0.5, 1, 1)) == ("50.0", "1 seed")
    assert cell(SHOWN, row(None, 0, 3)) == ("undefined", "")
    assert cell(SHOWN, None) == ("–", "")
    assert spoken(Shown("q", "change", 100, 1, " points", sign=True), row(-0.5, 1, 4)) == "−50.0 points (1 of 4 seeds)"
    assert seed_table("T", table_of(*TWO), "m", [SHOWN], ["b", "a"]).rows == (
        ("b", (("undefined", ""),)),
        ("a", (("20.0", "−107.1 to 147.1"),)),
    )


def test_a_reward_for_truth_encourages_what_is_right_and_nothing_else(material, styles):
    figures = {one.title: one for one in credit_curves(material, "good-code", styles)}
    up = figures["Right, among the encouraged (A > 0)"].table.filter(pl.col("arm") == "ground truth")
    down = figures["Right, among the penalized (A < 0)"].table.filter(pl.col("arm") == "ground truth")
    assert set(up["mean"]) == {100.0}
    assert set(down["mean"]) == {0.0}
    rows = dict(credit_table(material, "good-code").rows)
    header = credit_table(material, "good-code").headers[1:]
    truth, coin = (dict(zip(header, rows[arm], strict=True)) for arm in ("ground truth", "random"))
    assert (truth["agreement, %"], truth["kappa"]) == (("100.0", ""), ("1.00", ""))
    assert coin["paid, %"] == ("50.0", "")
    assert abs(float(coin["kappa"][0].replace("−", "-"))) < 0.2


def test_code_and_accuracy_have_figures_where_they_vary(material, styles):
    good = [one.slug for one in association_figures(material, "good-code", styles) if one]
    assert good == [
        f"{kind}-good-code" for kind in ("with-code", "without-code", "same-problem", "correlation", "lags")
    ]
    none = [one.slug for one in association_figures(material, "no-code", styles) if one]
    assert none == ["without-code-no-code"]
    changes, correlations = association_tables(material, "no-code")
    assert correlations is None  # code is constant
    assert dict(changes.rows)["random"][0] == ("undefined", "")


def test_a_rise_has_an_onset_and_a_coin_that_moves_nothing_has_none(material, styles):
    accuracy, _ = onset_figures(material, "no-code", styles)
    means = accuracy.table.filter(pl.col("seed") == "mean")
    by_arm = {(row["arm"], row["quantity"]): row for row in means.iter_rows(named=True)}
    assert by_arm["random", "accuracy onset"]["value"] is None
    rise = [by_arm["ground truth", f"accuracy {word}"]["value"] for word in ("onset", "saturation")]
    assert 0 < rise[0] < rise[1] < 12


def test_the_numbers_are_there_for_programs(material):
    found = analyses(material)
    names = ["credit", "strategies", "onset", "same_problem", "correlation", "signal", "equal_kl", "benches", "pass"]
    assert list(found) == [*names, "collapse"]
    for name, one in found.items():
        assert one.seeds.columns == ["model", "arm", "seed", "quantity", "value"], name
        assert one.means["of"].unique().to_list() == [3], name
        json.dumps([*one.means.to_dicts(), *one.seeds.to_dicts()], allow_nan=False)


def test_one_seed_says_that_it_is_one(material, tmp_path):
    lone = gather(material.declared, [write_run(tmp_path, "random", "good-code", 0)])
    rows = dict(credit_table(lone, "good-code").rows)
    assert {fine for _, fine in rows["random"]} == {"1 seed"}
    assert analyses(lone)["credit"].means["low_95"].null_count() == analyses(lone)["credit"].means.height


def test_runs_without_rollouts_have_no_analysis(material, styles):
    bare = replace(material, trained=pl.DataFrame(), metrics=pl.DataFrame(), evals=pl.DataFrame())
    assert analyses(bare) == {}
    assert credit_table(bare, "good-code") is None


def test_a_step_is_shown_beside_its_signal(material, styles):
    found = signal_figure(material, "good-code", styles)
    quiet = found.table.filter((pl.col("arm") == "random") & pl.col("step").is_in([3, 4]))
    assert (quiet["signal_percent"].to_list(), quiet["norm"].to_list()) == ([0, 0], pytest.approx([0.01, 0.01]))
    table = signal_table(material, "good-code")
    row = dict(zip(table.headers[1:], dict(table.rows)["random"], strict=True))
    assert row["norm, no signal"][0] == "0.010"
    assert row["norm, up to 10 % with signal"] == ("undefined", "")
    assert row["KL a step, 10⁻³ nats"][0] == "0.20"
    assert signal_figure(replace(material, metrics=material.metrics.drop("update/norm")), "good-code", styles) is None


def test_arms_are_compared_at_equal_kl(material, styles):
    entropy, code, accuracy = kl_curves(material, "good-code", styles)
    assert [one.slug for one in (entropy, code, accuracy)] == [
        f"equal-kl-{name}-good-code" for name in ("entropy", "code", "accuracy")
    ]
    ends = entropy.table.group_by("arm", maintain_order=True).agg(
        pl.col("kl").first(), pl.col("kl").last().alias("end")
    )
    assert ends["end"].to_list() == pytest.approx([0.0002 * (STEPS - 1)] * 3)
    (name, cells), *rest = kl_table(material, "good-code").rows
    assert (name, rest) == ("ground truth − random", [])
    assert cells[0][0] == "0.0022"
    assert float(cells[5][0]) > 5  # accuracy: both move equally fast, and one of them learns


def test_an_arm_that_did_not_move_has_no_equal(material, styles):
    still = material.metrics.with_columns(
        pl.when(pl.col("arm") == "random").then(0.0).otherwise(pl.col("kl/to_start")).alias("kl/to_start")
    )
    assert kl_table(replace(material, metrics=still), "good-code") is None
    entropy, *_ = kl_curves(replace(material, metrics=still), "good-code", styles)
    assert "random" not in set(entropy.table["arm"])


def test_other_benchmarks_stand_beside_the_declared_one(material, styles):
    found = bench_figure(material, "good-code", styles)
    means = found.table.filter(pl.col("seed") == "mean")
    changes = {(row["arm"], row["quantity"]): row["value"] for row in means.iter_rows(named=True)}
    assert changes["ground truth", "chain change"] == pytest.approx(16 / 40)
    assert changes["ground truth", "chain-k4 change"] == pytest.approx(-9 / 40)  # one of four fewer, in nine of ten
    assert bench_table(material, "good-code").headers == ("arm", "chain, %", "change", "chain-k4, %", "change")
    one = replace(material, evals=material.evals.filter(pl.col("bench") == "chain"))
    assert bench_figure(one, "good-code", styles) is bench_table(one, "good-code") is None


def test_pass_at_k_starts_from_the_base(material, styles):
    (found,) = pass_figures(material, "good-code", styles)
    assert [trace["name"] for trace in found.data] == ["base", *material.arms]
    base = found.table.filter(pl.col("arm") == "base")
    assert base["k"].to_list() == [1, 2, 4]
    assert base["seeds"].to_list() == [3, 3, 3]
    # Problems have 0, 1, 2, 3 and six times 4 right samples of four.
    assert base["mean"].to_list() == pytest.approx([30 / 40, (0 + 1 / 2 + 5 / 6 + 1 + 6) / 10, 0.9])
    assert found.data[1]["y"][-1] == pytest.approx(80)


def test_train_benches_are_known_by_their_split(material):
    def bench(split, **more):
        return {"task": {"name": "chain", "args": {"split": split, **more}}, "name": f"{split}{len(more)}"}

    manifest = {"spec": {"benches": [bench("test"), bench("train", size=500), bench("test", steps=5)]}}
    assert train_benches(replace(material, manifests={"a": manifest})) == {"train1": "test0"}
    assert train_benches(material) == {}


def test_a_breakdown_is_a_caveat(material):
    assert collapse_notes(material) == []
    long = [0.6 if step < 5 else 0.1 for step in range(STEPS)]
    broken = material.metrics.sort("step", maintain_order=True).with_columns(
        pl.when((pl.col("arm") == "random") & (pl.col("seed") == 1) & (pl.col("model") == "no-code"))
        .then(pl.col("step").replace_strict(dict(enumerate(long))).cast(pl.Float64) * 0.1)
        .otherwise(pl.col("entropy/mean"))
        .alias("entropy/mean")
    )
    assert collapse_notes(replace(material, metrics=broken)) == [
        "random on no-code: in 1 of 3 runs no entropy is left (first at step 5)."
    ]


def test_seeds_are_told_one_by_one(material):
    table = spread_table(answer(material))
    rows = dict(table.rows)
    seeds, mean, median, ups, p, deviation = rows["ground truth − random, no-code"]
    assert (seeds[0], ups[0], p[0]) == ("3", "3 / 0 / 0", "0.25")
    assert mean == ("+20.0", "+13.8 to +26.2")
    assert median == ("+20.0", "")  # an interval needs six seeds
    assert deviation == ("2.5", "1.3 to 15.7")  # 2.5 sqrt(2 / 7.378) and 2.5 sqrt(2 / .05064)
    assert rows["ground truth − base, good-code"][1][0] == "+40.0"
    assert rows["random − base, no-code"][5] == ("0.0", "")
    one = gather(material.declared, [cell for cell in material.cells if cell.seed == 0])
    assert spread_table(answer(one)) is None
