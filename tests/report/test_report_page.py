"""The page as a file: nothing that a model said is markup, nothing is loaded, and it stays small."""

import base64
import gzip
import json
import re
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs
from report_store import write_run

from spurious.report import Cell, gather, render
from spurious.report.browser import LONGEST_TEXT, completion_records
from spurious.report.page import json_for_html


@pytest.fixture(scope="module")
def html(page):
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def own(html):
    """The page without Plotly's bundle."""
    bundle = get_plotlyjs()
    assert html.count(bundle) == 1
    return html.replace(bundle, "")


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_survives_inside_a_script_element(text):
    written = json_for_html({"text": text})
    assert written.isascii()
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written)["text"] == text


def test_lone_surrogates_and_control_characters_survive():
    text = "\ud800 \udfff \x00 \x1b[31m \u2028</script><!--"
    assert json.loads(json_for_html(text)) == text


def test_what_a_model_said_is_never_markup(own, partial):
    assert "window.pwned" in json.dumps(data_of(own))
    assert "<script>window.pwned" not in own
    assert "<img" not in own
    assert "&lt;script&gt;window.pwned = 3&lt;/script&gt;" in own  # the error of the run that failed


def test_only_its_own_scripts_may_run_and_nothing_is_loaded(own, html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', own)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", own)
    assert html.count("<script") - get_plotlyjs().count("<script") == 3


def test_the_page_has_every_part(own, partial):
    anchors = ("answer", "learning", "strategies", "credit", "association", "mechanism", "distribution")
    for anchor in (*anchors, "benches", "grades", "completions", "runs"):
        assert f'<section id="{anchor}"' in own
        assert f'<a href="#{anchor}">' in own
    for text in ("1 run failed", "1 run owed", "16 runs done", "loss: 3 of 512 not finite", "no upper clip"):
        assert text in own
    assert "spurious study run studies/synthetic.yaml" in own


def test_every_figure_has_words_and_a_table(own):
    figures = data_of(own)["figures"]
    places = re.findall(r'data-figure="([^"]*)" role="img" aria-label="([^"]+)"', own)
    assert [slug for slug, _ in places] == list(figures)
    assert all(len(words) > 30 for _, words in places)
    for one in figures.values():
        assert "," in gzip.decompress(base64.b64decode(one["csv"])).decode().splitlines()[0]


def test_the_same_material_gives_the_same_page(partial, html):
    assert render(partial) == html


def test_completions_of_one_place_stand_together_in_every_arm(material):
    records = completion_records(material)
    first = [(one["arm"], one["problem"], one["seed"], one["step"]) for one in records[:3]]
    assert {arm for arm, *_ in first} == set(material.arms)
    assert len({place for _, *place in map(tuple, first) for place in [tuple(place)]}) == 1
    assert {one["reward"] for one in records} == {0.0, 1.0}
    assert {"correct", "wrong"} <= {one["grade"] for one in records}


def test_completions_are_bounded(material):
    long = material.completions.with_columns(text=pl.lit("語" * 100_000), prompt=pl.lit("=" * 9000))
    records = completion_records(replace(material, completions=long))
    assert all(len(one["text"]) < LONGEST_TEXT + 60 for one in records)
    assert "97000 characters left out" in records[0]["text"]
    assert len(json.dumps(records)) < 1_600_000
    assert {(one["arm"], one["model"]) for one in records} == {(a, m) for a in material.arms for m in material.models}


def test_a_study_that_has_not_begun_has_a_page(material):
    cells = [Cell(c.arm, c.role, c.model, c.seed, "", None, "owed") for c in material.cells]
    own = render(gather(material.declared, cells)).replace(get_plotlyjs(), "")
    assert "No answer yet" in own
    assert "18 runs owed" in own
    assert data_of(own)["figures"] == {}


def test_a_run_that_stopped_before_its_first_step_has_a_page(material, tmp_path):
    own = render(gather(material.declared, [write_run(tmp_path, "random", "good-code", 0, until=0)]))
    assert "1 run failed" in own


def test_names_cannot_break_out_of_the_page(material):
    odd = "</script><b>\"'&=cmd"
    cells = tuple(replace(cell, arm=odd) if cell.arm == "random" else cell for cell in material.cells)
    own = render(gather(replace(material.declared, pairs=(("ground truth", odd),)), cells)).replace(get_plotlyjs(), "")
    assert odd not in own
    assert any(one["arm"] == odd for one in data_of(own)["completions"])


def test_a_hundred_long_runs_fit_into_eight_megabytes(material):
    """4 arms x 5 models x 5 seeds, 300 steps each; the tables are those of real runs, repeated."""
    arms = {"ground truth": "treatment", "random": "placebo", "format": "placebo", "random, no clip": "control"}
    run = material.cells[0]

    def of_run(table):
        return table.filter(pl.col("run") == run.run).drop("arm", "role", "model", "seed", "run")

    metrics = of_run(material.metrics).filter(pl.col("step") > 0)
    times = -(-300 // metrics.height)
    metrics = pl.concat([metrics] * times).head(300).with_columns(step=pl.int_range(300, dtype=pl.Int64))
    noise = pl.int_range(pl.len()).hash(seed=1) / 2**64
    floats = [name for name, kind in metrics.schema.items() if kind == pl.Float64]
    metrics = metrics.with_columns(pl.col(floats) + 0.1 * noise)
    cells = [
        Cell(arm, role, f"model {m}", seed, f"{arm}{m}{seed}", run.directory, "done")
        for m in range(5) for arm, role in arms.items() for seed in range(5)
    ]  # fmt: skip
    tables = {"metrics": metrics, "evals": of_run(material.evals), "completions": of_run(material.completions)}
    wide = {
        name: pl.concat(
            table.with_columns(
                arm=pl.lit(c.arm), role=pl.lit(c.role), model=pl.lit(c.model), seed=pl.lit(c.seed), run=pl.lit(c.run)
            )
            for c in cells
        )
        for name, table in tables.items()
    }
    manifests = {cell.run: material.manifests[run.run] for cell in cells}
    html = render(replace(material, cells=tuple(cells), manifests=manifests, **wide))
    assert len(html.encode()) < 8_000_000
