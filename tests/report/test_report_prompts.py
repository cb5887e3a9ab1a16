"""The best untrained prompt beside what training reached."""

from dataclasses import replace

import polars as pl
import pytest
from report_store import BASE, DECLARED, PROBLEMS

from spurious.report import Outcome, answer, render
from spurious.report.bases import BASE as USUAL
from spurious.report.effects import levels
from spurious.report.grades import grade_mix
from spurious.report.palette import arm_styles
from spurious.report.words import NO_PROMPT, caveats, references

HOSTILE = "<img src=x onerror='window.pwned = 4'>"


def prompted(model, right, name):
    """`right` problems of 40 solved with this prompt, from the first on."""
    return pl.DataFrame(
        [
            {"model": model, "prompt_name": name, "problem_id": f"p{i:02d}", "copy": 0, "sample": 0}
            | {"seed": 0, "step": 0, "grade": "correct" if i < right else "wrong"}
            for i in range(PROBLEMS)
        ]
    )


@pytest.fixture
def tried(material):
    """On good-code another prompt solves 36 of 40; no-code was tried with its own alone."""
    rows = [
        prompted("good-code", BASE["good-code"], "its usual prompt"),
        prompted("good-code", 36, HOSTILE),
        prompted("no-code", BASE["no-code"], "its usual prompt"),
    ]
    return replace(material, prompted=pl.concat(rows))


def test_training_is_set_against_the_best_prompt_on_problems_that_did_not_choose_it(tried):
    (one,) = answer(tried).references
    assert (one.model, one.prompt, one.tried) == ("good-code", HOSTILE, 2)
    assert one.mean == pytest.approx(18 / 20)  # p01, p03 ... p35 of p01 ... p39
    truth = one.arms["ground truth"]
    # after training the first 31, 32, 33 problems are solved: 15, 16, 16 of the odd ones
    assert [value for _, value in truth.by_seed] == pytest.approx([-3 / 20, -2 / 20, -2 / 20])
    assert truth.n_problems == 20


def test_the_page_says_whether_training_beats_it(tried):
    (sentence,) = references(tried, answer(tried))
    assert f"best of 2 prompts ({HOSTILE}): 90.0 % accuracy" in sentence
    assert "ground truth 78.3 % (−11.7 points, −18.8 to −4.5): training stays below the prompt" in sentence
    assert "random" not in sentence  # no claim
    assert any(note == f"no-code: {NO_PROMPT}" for note in caveats(tried, answer(tried)))
    html = render(tried)
    assert "best of 2 prompts" in html
    assert HOSTILE not in html


def test_it_is_a_labeled_line_of_the_levels(tried):
    good, none = levels(answer(tried), arm_styles(tried.arms))
    assert [shape["x0"] for shape in good.layout["shapes"]] == [40.0, 90.0]
    (label,) = good.layout["annotations"]
    assert (label["text"], label["x"], label["xanchor"]) == ("best untrained prompt", 90.0, "right")
    assert good.table["mean"][-1] == pytest.approx(0.9)
    assert HOSTILE in good.description
    assert len(none.layout["shapes"]) == 1
    assert none.layout["annotations"] == []


def test_without_another_prompt_the_caveats_say_so(material):
    assert answer(material).references == ()
    assert NO_PROMPT in caveats(material, answer(material))


def test_no_prompt_is_best_where_more_is_not_better(tried):
    shorter = replace(DECLARED, outcome=Outcome("tokens", "final", "chain", pl.col("n_tokens")))
    other = replace(tried, declared=shorter)
    assert answer(other).references == ()
    assert not any(NO_PROMPT in note for note in caveats(other, answer(other)))


@pytest.fixture
def differently_asked(material):
    """The arm without clipping is asked with a template of its own, under which nothing is solved before training."""
    arm = "random, no clip"
    runs = {cell.run for cell in material.cells if cell.arm == arm}
    manifests = {
        run: {**manifest, "spec": {**manifest["spec"], "benches": [{"task": {"name": "chain", "template": "lipsum"}}]}}
        if run in runs
        else manifest
        for run, manifest in material.manifests.items()
    }
    fails = (pl.col("arm") == arm) & (pl.col("step") == 0)
    evals = material.evals.with_columns(pl.when(fails).then(pl.lit("wrong")).otherwise("grade").alias("grade"))
    pairs = (("ground truth", "random"), (arm, "random"))
    return replace(material, declared=replace(DECLARED, pairs=pairs), manifests=manifests, evals=evals)


def test_an_arm_that_is_asked_differently_has_a_base_of_its_own(differently_asked):
    found = answer(differently_asked)
    means = {(level.model, level.arm): level.mean for level in found.levels}
    assert means["good-code", USUAL] == BASE["good-code"] / PROBLEMS
    assert means["good-code", "base, lipsum"] == 0.0
    starts = {(one.model, one.treatment): one.base.arm for one in found.effects}
    assert starts["good-code", "ground truth"] == USUAL
    assert starts["good-code", "random, no clip"] == "base, lipsum"
    assert found.bases["random"] == USUAL
    names = grade_mix(differently_asked, "good-code").table["arm"].to_list()
    assert names[:2] == [USUAL, "base, lipsum"]
    assert "base, lipsum" in render(differently_asked)


def test_arms_that_are_asked_alike_share_one_base(material):
    assert set(answer(material).bases.values()) == {USUAL}
