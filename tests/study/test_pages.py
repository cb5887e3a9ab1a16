"""Tables of pages, from a summary whose numbers are known."""

import json

import pytest

from spurious.errors import DataError
from spurious.report.markdown import benches, comparisons, facts
from spurious.study.checked import Demands
from spurious.study.pages import filled

COMPARISON = {
    "arm": "random",
    "against": "constant",
    "model": "good-code",
    "unit": "points",
    "base": 0.78,
    "levels": {"random": 0.775, "constant": 0.78},
    "effect": -0.005,
    "interval": [-0.0151, 0.0051],
    "median": -0.004,
    "signs": {"up": 3, "down": 7, "equal": 0, "p": 0.34},
    "p_holm": 0.92,
    "verdict": "equivalent",
}
NO_CLIP = {"against": "random without clipping", "levels": {"random": 0.775, "random without clipping": 0.7}}
SUMMARY = {
    "study": "F14",
    "question": "Is it the clip?\n",
    "primary": "accuracy@final on chain",
    "pairs": [["random", "constant"], ["random", "random without clipping"]],
    "comparisons": [COMPARISON, {**COMPARISON, **NO_CLIP, "verdict": "-"}],
    "benches": [],
    "seeds_found": [101, 102, 103],
    "runs": [{"run": run, "state": state} for run, state in (("a", "done"), ("a", "done"), (None, "owed"))],
    "missing": ["one run is owed"],
    "declared": {"committed": [{"commit": "0123456789", "at": "", "runs_started": 0, "same": True}], "recorded": []},
    "tables": ["effects.csv"],
    "figures": ["effect.svg"],
}
ROW = "| good-code | random | constant | 78.0 | 77.5 | 78.0 | −0.5 | −1.5 to +0.5 | −0.4 | 3 / 7 | 0.92 | equivalent |"
DEMANDS = Demands(seeds=5, without_results={"F1": "its runs are not finished"})


@pytest.fixture
def page(tmp_path):
    (tmp_path / "results" / "F14").mkdir(parents=True)
    (tmp_path / "results" / "F14" / "summary.json").write_text(json.dumps(SUMMARY))

    def fill(text):
        path = tmp_path / "page.md"
        path.write_text(text)
        return filled(path, tmp_path / "results", DEMANDS)

    return fill


def test_a_table_has_every_comparison_and_links_its_files(page):
    text = page("Before.\n<!-- results: F14 -->\nold\n<!-- end of results -->\nAfter.\n")
    assert text.startswith("Before.\n<!-- results: F14 -->\nDistinct runs: 1; seeds: 3 (101 to 103); outcome: ")
    assert text.endswith("<!-- end of results -->\nAfter.\n")
    assert ROW in text
    assert "| −0.5 | −1.5 to +0.5 | −0.4 | 3 / 7 | 0.92 | − |" in text
    assert "old" not in text
    assert "Declared in commit 0123456, before any run. 1 missing, see the summary." in text
    assert "[summary.json](results/F14/summary.json), [effects.csv](results/F14/effects.csv)" in text
    assert "![F14: Is it the clip?](results/F14/effect.svg)" in text


def test_filling_twice_changes_nothing(page):
    once = page("<!-- results: F14 -->\n<!-- end of results -->\n<!-- results: F1 -->\n<!-- end of results -->\n")
    assert page(once) == once
    assert "No results yet: its runs are not finished.\n<!-- end of results -->" in once


def test_one_comparison_of_a_study(page):
    text = page("<!-- results: F14, random against constant -->\n<!-- end of results -->\n")
    assert ROW in text
    assert "without clipping" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- results: F14 -->\n", "1 tables begin and 0 end"),
        ("<!-- results: F2 -->\n<!-- end of results -->\n", "results of F2: there are none"),
        ("<!-- results: F14, a against b -->\n<!-- end of results -->\n", "does not compare 'a' with 'b'"),
    ],
)
def test_a_marker_without_its_results_is_an_error(page, text, message):
    with pytest.raises(DataError, match=message):
        page(text)


@pytest.mark.parametrize(
    ("committed", "recorded", "text"),
    [
        (
            [{"commit": "a" * 40, "runs_started": 3, "same": True}],
            [],
            "in commit aaaaaaa, after 3 runs had been started",
        ),
        ([], [{"done": 0, "same": True}], "Declared with 0 of its runs done."),
        ([], [{"done": 0, "same": False}, {"done": 9, "same": True}], "with 9 of its runs done. An earlier version"),
        ([], [], "not on record"),
    ],
)
def test_when_it_was_declared_is_said(committed, recorded, text):
    assert text in facts({**SUMMARY, "declared": {"committed": committed, "recorded": recorded}})


def test_other_units_are_not_percentages():
    row = comparisons({**SUMMARY, "comparisons": [{**COMPARISON, "unit": "tokens", "effect": 2.5}]}).split("\n")[-1]
    assert "| +2.5 |" in row


def test_untrained_models_stand_bench_by_bench():
    def number(bench, metric, mean, difference=None):
        interval = {"low_95": mean - 0.02, "high_95": mean + 0.02, "difference_low_95": -0.1, "difference_high_95": 0.3}
        place = {"bench": bench, "model": "m", "metric": metric, "against": "chain"}
        return {**place, **interval, "mean": mean, "difference": difference}

    rows = [
        number("chain", "accuracy", 0.5),
        number("chain", "behavior/code_reasoning", 0.63),
        number("forced", "accuracy", 0.6, 0.1),
    ]
    table = benches({**SUMMARY, "benches": rows}).split("\n")
    assert table[0] == "| model | bench | accuracy | code | difference in accuracy |"
    assert table[2] == "| m | chain | 50.0 (48.0 to 52.0) | 63.0 (61.0 to 65.0) | – |"
    assert table[3] == "| m | forced | 60.0 (58.0 to 62.0) | – | +10.0 (−10.0 to +30.0) to chain |"
