"""Figures as data: what they draw, what their tables hold, and that Plotly takes them."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import plotly.graph_objects
import polars as pl
import pytest
from report_store import PROBLEMS, STEPS

from spurious.report import Habit, answer, figures
from spurious.report.browser import completion_records
from spurious.report.curves import learning, training_curve
from spurious.report.figure import csv, slug
from spurious.report.grades import grade_mix
from spurious.report.habit import CODE
from spurious.report.mechanism import clip_bounds, clip_fraction, histogram, ratio_histogram
from spurious.report.palette import ARM_COLORS, PALETTES, arm_styles, inked
from spurious.report.switches import contribution_rows, note, sankey, strategy_switches
from spurious.store.tables import RATIO_EDGES


@pytest.fixture(scope="module")
def drawn(material):
    return {one.slug: one for one in figures(material, answer(material))}


def test_every_figure_is_valid_named_once_and_described(material, drawn):
    assert len(drawn) == len(figures(material, answer(material)))
    for scheme in PALETTES:
        for one in drawn.values():
            document = {"data": list(one.data), "layout": dict(one.layout)}
            plotly.graph_objects.Figure(inked(document, scheme))
    for one in drawn.values():
        assert len(one.description) > 30
        assert one.table.height


def test_the_forest_draws_every_seed_the_mean_and_the_interval(drawn):
    dots, bar, mean = (trace for trace in drawn["effect"].data if trace["y"][0] < 0.5)
    assert dots["x"] == pytest.approx([17.5, 20, 22.5])
    assert dots["customdata"] == [0, 1, 2]
    assert mean["x"] == pytest.approx([20])
    half = 4.302653 * 2.5 / 3**0.5  # t of 2 degrees of freedom, sd 2.5
    assert bar["x"] == pytest.approx([20 - half, 20 + half], abs=1e-3)
    assert {"base_mean", "placebo_mean", "low_95", "high_95"} <= set(drawn["effect"].table.columns)


def test_a_curve_has_a_band_a_mean_and_a_thin_raw_line_a_seed(material):
    styles = arm_styles(material.arms)
    found = training_curve(material, learning(CODE)[0], "good-code", styles)
    mine = [trace for trace in found.data if trace["meta"]["arm"] == "random"]
    widths = [trace["line"]["width"] for trace in mine]
    assert widths == [1, 1, 1, 0, 2.5]
    assert mine[-1]["x"] == list(range(STEPS))
    assert found.table.columns == ["arm", "seed", "step", "raw", "smoothed"]
    assert found.table.height == 3 * 3 * STEPS


def test_what_was_not_measured_is_not_drawn(material):
    styles = arm_styles(material.arms)
    silent = material.metrics.with_columns(pl.lit(None, pl.Float64).alias("truth/accuracy"))
    bare = replace(material, metrics=silent.drop("ratio/histogram"))
    assert training_curve(bare, learning(CODE)[0], "good-code", styles) is None
    assert ratio_histogram(bare, "good-code", styles) is None


def test_an_arm_that_has_not_begun_is_left_out_of_the_ratios(material):
    begun = replace(material, metrics=material.metrics.filter(pl.col("arm") != "random"))
    figure = ratio_histogram(begun, "good-code", arm_styles(material.arms))
    assert figure.table["arm"].unique(maintain_order=True).to_list() == ["ground truth", "random, no clip"]
    assert figure.table.height == 2 * 35


def test_sankey_flows_are_the_subsets(material):
    one = next(s for s in strategy_switches(material) if (s.model, s.arm) == ("good-code", "ground truth"))
    # Problem i shows code at first for i < 20, at last for i < 36: over three seeds 60 CC, 0 CL, 48 LC, 12 LL.
    (trace,) = sankey(one, arm_styles(material.arms)["ground truth"]).data
    link = trace["link"]
    flows = set(zip(link["source"], link["target"], link["value"], strict=True))
    assert flows == {(0, 2, 60), (1, 2, 48), (1, 3, 12)}
    assert trace["node"]["label"] == ["code 50 %", "language 50 %", "code 90 %", "language 10 %"]
    # Right before: i < 16; right after: i < 31, 32, 33 of seeds 0, 1, 2.
    rows = {row["subset"]: row for row in contribution_rows(one)}
    assert rows["CC"]["net"] == "+12"
    assert rows["LC"]["net"] == "+36"
    assert rows["LC"]["share"] == "75.0 %"
    assert rows["CC"]["share"] == "25.0 %"
    assert rows["LC"]["spread"] == "73 to 76"


def test_a_sankey_of_one_strategy_draws_only_what_is_there(material):
    one = next(s for s in strategy_switches(material) if (s.model, s.arm) == ("no-code", "ground truth"))
    (trace,) = sankey(one, arm_styles(material.arms)["ground truth"]).data
    assert trace["node"]["label"] == ["language 100 %", "language 100 %"]
    assert (trace["link"]["source"], trace["link"]["target"]) == ([0], [1])


def test_shares_without_a_change_are_undefined_and_losses_say_so(material):
    found = {(s.model, s.arm): s for s in strategy_switches(material)}
    flat = found["good-code", "random, no clip"]
    assert {row["share"] for row in contribution_rows(flat)} == {"undefined"}
    assert "nothing changed" in note(flat)
    lost = found["no-code", "random, no clip"]
    assert lost.whole.net < 0
    assert "share of the loss" in note(lost)
    assert next(row for row in contribution_rows(lost) if row["subset"] == "CC")["share"] == "0.0 %"


def test_figures_and_completions_follow_the_habit_that_was_declared(material):
    code, box = pl.col("behavior/code_reasoning"), pl.col("behavior/boxed")
    renamed = {
        name: getattr(material, name).with_columns((1 - code).alias("behavior/boxed"))
        for name in ("evals", "metrics", "completions")
    }
    other = replace(material, declared=replace(material.declared, habit=Habit("boxed")), **renamed)
    by_code, by_box = ({(one.model, one.arm): one for one in strategy_switches(chosen)} for chosen in (material, other))
    for place, one in by_box.items():
        assert [one.whole[name].size for name in ("CC", "CL", "LC", "LL")] == [
            by_code[place].whole[name].size for name in ("LL", "LC", "CL", "CC")
        ]
    drawn = sankey(by_box["good-code", "random"], arm_styles(material.arms)["random"])
    assert {label.rsplit(" ", 2)[0] for label in drawn.data[0]["node"]["label"]} == {"boxed", "no boxed"}
    assert "CC (kept boxed)" in drawn.description
    curve = training_curve(other, learning(Habit("boxed"))[1], "good-code", arm_styles(material.arms))
    assert curve.slug == "boxed-good-code"
    assert (
        curve.table["raw"].to_list()
        == other.metrics.filter(pl.col("model") == "good-code")
        .sort("arm", "seed", "step")
        .select(100 * box)
        .to_series()
        .to_list()
    )
    assert {record["strategy"] for record in completion_records(material)} == {"code", "language"}
    assert {record["strategy"] for record in completion_records(other)} == {"boxed", "no boxed"}


def test_a_habit_that_was_not_measured_is_not_drawn(material):
    other = replace(material, declared=replace(material.declared, habit=Habit("spelled_out")))
    assert list(strategy_switches(other)) == []
    assert training_curve(other, learning(Habit("spelled_out"))[1], "good-code", arm_styles(material.arms)) is None


def test_histograms_add_up(material):
    assert histogram(pl.Series([[1.0, 2.0], [3.0, 4.0], None])) == [4.0, 6.0]
    found = ratio_histogram(material, "good-code", arm_styles(material.arms))
    assert found.table.height == 3 * (len(RATIO_EDGES) + 1)
    assert found.table.filter(pl.col("arm") == "random")["tokens"].sum() == 3 * STEPS * 4838
    y = found.data[0]["y"]
    assert y[17] == pytest.approx(4000 / 4838, rel=1e-3)
    assert y[0] is None


def test_an_arm_that_is_not_run_yet_is_in_no_histogram(material):
    waiting = replace(material, metrics=material.metrics.filter(pl.col("arm") != "random"))
    found = ratio_histogram(waiting, "good-code", arm_styles(material.arms))
    assert found.table["arm"].unique().sort().to_list() == ["ground truth", "random, no clip"]


def test_clip_bounds_come_from_the_manifests_and_absent_ones_from_none(material):
    assert clip_bounds(material, "good-code") == [0.8, 1.2]


def test_the_lower_clip_points_down_but_counts_up(material):
    found = clip_fraction(material, "good-code", arm_styles(material.arms))
    assert min(found.data[-2]["y"]) < 0
    assert all(not text.startswith("-") for text in found.layout["yaxis"]["ticktext"])


def test_the_grade_mix_adds_up(material):
    found = grade_mix(material, "good-code")
    assert [row["arm"] for row in found.table.to_dicts()] == ["base", *material.arms]
    for row in found.table.to_dicts():
        assert sum(value for name, value in row.items() if name not in ("model", "arm")) == pytest.approx(1)
    assert found.table["correct"][0] == pytest.approx(16 / PROBLEMS)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_texts_that_a_spreadsheet_would_run_are_guarded(sign):
    table = pl.DataFrame({"arm": [f"{sign}cmd|' /C calc'!A0", "random"], f"{sign}x": [-1.5, 2.0]})
    written = csv(table)
    assert f"'{sign}cmd" in written
    assert f"'{sign}x" in written
    back = pl.read_csv(written.encode())
    assert back.to_series(1).to_list() == [-1.5, 2.0]


def test_names_become_plain_file_names():
    assert slug("level", "Qwen/Qwen2.5-Math-7B", "../../é") == "level-qwen-qwen2-5-math-7b"
    assert slug("日本") == "figure"


def linear(color):
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, two):
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    f = np.cbrt(xyz / np.array([0.9505, 1, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


BLINDNESS = {  # Machado, Oliveira and Fernandes 2009, severity 1
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("scheme", PALETTES)
def test_inks_can_be_read(scheme):
    palette = PALETTES[scheme]
    for text in ("ink", "muted", "accent", "good", "bad"):
        assert contrast(palette[text], palette["card"]) >= 4.5, text
    for arm in range(ARM_COLORS):
        assert contrast(palette[f"arm{arm}"], palette["card"]) >= 3, arm


@pytest.mark.parametrize("scheme", PALETTES)
@pytest.mark.parametrize("kind", BLINDNESS)
def test_arms_stay_apart_for_the_color_blind(scheme, kind):
    seen = [lab(np.array(BLINDNESS[kind]) @ linear(PALETTES[scheme][f"arm{i}"])) for i in range(ARM_COLORS)]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= 15


def test_arms_never_share_a_look():
    styles = arm_styles([f"arm {i}" for i in range(25)])
    assert len({(style.ink, style.dash, style.marker) for style in styles.values()}) == 25
