"""`spurious study results` and the check of what it left, on a study that is run here."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from spurious.cli import main
from spurious.errors import InputError, SpecError
from spurious.grpo.trainer import train
from spurious.study.cells import expand
from spurious.study.checked import FIELDS, Demands, complaints, load_demands, unaccounted
from spurious.study.history import committed, recorded
from spurious.study.record import folder, write_study
from spurious.study.results import commands, write_results
from spurious.study.spec import load_spec

DEMANDS = Demands(seeds=3)


def git(where, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(where), *identity, *arguments], check=True, capture_output=True)


def write_file(path, fields):
    path.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def root(small, organism_dir, tmp_path_factory):
    """A repository with a study that is committed, then run (three seeds), then written."""
    root = tmp_path_factory.mktemp("repository")
    file = write_file(root / "small.yaml", small(organism_dir, seeds=[5, 6, 7], margin=0.5))
    git(root, "init", "-q")
    git(root, "add", "small.yaml")
    git(root, "commit", "-qm", "Declare")
    store, study = root / "runs", load_spec(file)
    planned = expand(study, store)
    write_study(store, study, [one.cell for one in planned], 0)
    for one in planned:
        train(one.spec, store=store)
    return root


@pytest.fixture(scope="module")
def written(root, not_drawn):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("spurious.study.results.export", not_drawn)

        return write_results(Path("small.yaml"), Path("runs"), Path("out"))


@pytest.fixture(scope="module")
def not_drawn():
    """An exporter on a machine without a browser."""

    def export(figures, directory, kind, *, tables):
        assert (kind, tables) == ("svg", False)
        raise InputError("--figures: Plotly draws files with Chrome or Chromium, and found neither")

    return export


@pytest.fixture
def whole(written, root, tmp_path):
    """A copy of the results that has figures, and the way to break it: `whole.change(key, value)`."""
    copy = shutil.copytree(root / "out" / "small", tmp_path / "small")
    summary = copy / "summary.json"

    def change(edit):
        document = json.loads(summary.read_text())
        edit(document)
        summary.write_text(json.dumps(document))
        return complaints(summary, root, DEMANDS)

    change(lambda document: document.update(figures=["effect.svg"]))
    (copy / "effect.svg").write_text("<svg/>")
    return SimpleNamespace(folder=copy, summary=summary, change=change)


def test_the_summary_says_what_was_declared_and_when(written, root):
    document = json.loads((root / written.summary).read_text())
    assert set(FIELDS) == set(document)
    assert document["expectation"] == "It does not."
    assert document["declared"]["recorded"] == [
        {"at": document["declared"]["recorded"][0]["at"], "done": 0, "same": True}
    ]
    (commit,) = document["declared"]["committed"]
    assert (commit["same"], commit["runs_started"], len(commit["commit"])) == (True, 0, 40)
    assert document["models"]["organism"]["digest"]
    assert document["commands"] == ["spurious study run small.yaml", "spurious study results small.yaml"]
    assert len(document["runs"]) == 6
    assert document["missing"] == []
    (comparison,) = document["comparisons"]
    assert list(comparison["by_seed"]) == ["5", "6", "7"]


def test_without_a_browser_there_are_tables_and_a_word(written, root):
    assert "Chromium" in written.not_drawn
    assert {path.name for path in written.files} >= {"curves.csv", "effects.csv", "levels.csv"}
    assert all((root / path).stat().st_size > 20 for path in written.files)


def test_the_same_runs_give_the_same_bytes(written, root, not_drawn, monkeypatch):

    before = {path.name: path.read_bytes() for path in (root / "out" / "small").iterdir()}
    monkeypatch.chdir(root)
    monkeypatch.setattr("spurious.study.results.export", not_drawn)
    (root / "out" / "small" / "old.csv").write_text("of an earlier version")
    write_results(Path("small.yaml"), Path("runs"), Path("out"))
    assert {path.name: path.read_bytes() for path in (root / "out" / "small").iterdir()} == before


def test_whole_results_have_no_complaints(whole):
    assert whole.change(lambda document: None) == []


def without(name, *, index=0):
    return lambda document: document[name].pop(index)


def setting(path, value):
    def edit(document):
        *parents, last = path
        for part in parents:
            document = document[part]
        document[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (setting(["file"], "gone.yaml"), "its study file: "),
        (setting(["seeds_found"], [5, 6]), "seeds: 7 is declared and was not run"),
        (without("runs"), "runs: truth on organism, seed 5, is not there"),
        (setting(["runs", 3, "state"], "failed"), "runs: coin on organism, seed 6, is failed"),
        (setting(["runs", 0, "run"], None), "runs: truth on organism, seed 5, is done"),
        (without("comparisons"), "comparisons: truth against coin on organism is missing"),
        (setting(["comparisons", 0, "interval"], None), "truth against coin on organism lacks interval"),
        (setting(["comparisons", 0, "by_seed"], {"5": 0.0, "6": 0.0}), "lacks seed 7"),
        (setting(["comparisons", 0, "effect"], 0.9), "its effect is not the mean over its seeds"),
        (setting(["comparisons", 0, "verdict"], "proved"), "'proved' is no verdict"),
        (setting(["comparisons", 0, "equivalence"], None), "lacks the equivalence test"),
        (without("levels"), "levels: base on organism is missing"),
        (setting(["expectation"], "It does."), "expectation: not the study file's"),
        (setting(["declared", "recorded"], []), "nothing says when the expectation was declared"),
        (setting(["declared", "recorded", 0, "same"], False), "today's declaration is not on record"),
        (setting(["spec", "base", "steps"], 3), "base: the study file says something else"),
        (setting(["missing"], ["a run failed", "another"]), "missing: a run failed (and 1 more)"),
        (setting(["models", "organism", "digest"], None), "nothing says what organism is"),
        (setting(["tables"], ["levels.csv"]), "tables: effects.csv is not among them"),
        (setting(["figures"], []), "figures: there are none"),
        (setting(["format"], 0), "format: 0, not 1"),
        (setting(["question"], None), "question: not of the expected kind"),
        (setting(["study"], "other"), "study: other lies in the folder small"),
    ],
)
def test_what_is_missing_or_broken_is_said(whole, edit, sentence):
    assert any(sentence in one for one in whole.change(edit)), whole.change(lambda document: None)


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_may_be_missing(whole, name):
    assert any(one.startswith(f"{name}: ") for one in whole.change(lambda document: document.pop(name)))


def test_files_must_be_there_and_be_named(whole, root):
    (whole.folder / "levels.csv").rename(whole.folder / "renamed.csv")
    found = complaints(whole.summary, root, DEMANDS)
    assert "levels.csv: the file is missing" in found
    assert "renamed.csv: the summary does not name it" in found
    whole.summary.write_text("{")
    assert complaints(whole.summary, root, DEMANDS)[0].startswith("not readable")
    whole.summary.write_text("[]")
    assert complaints(whole.summary, root, DEMANDS) == ["not a mapping of fields"]


def test_enough_seeds(whole, root):
    assert complaints(whole.summary, root, Demands(seeds=4)) == ["seeds: 3 were run, 4 are the least"]
    assert complaints(whole.summary, root, Demands(seeds=1, more_seeds={"small": 10})) == [
        "seeds: 3 were run, 10 are the least"
    ]


def test_a_study_without_results_has_a_reason(written, root):
    out = root / "out"
    assert unaccounted(out, ["small"], DEMANDS) == []
    assert unaccounted(out, ["small", "F1"], DEMANDS) == ["F1: no results and no reason"]
    reasons = Demands(seeds=3, without_results={"F1": "needs a GPU", "small": "later", "F99": "why not"})
    assert unaccounted(out, ["small", "F1"], reasons) == [
        "small: has results and a reason for having none",
        "F99: has a reason for having no results, and is no study",
    ]


def test_demands_are_read_from_a_file(tmp_path):
    path = tmp_path / "demands.yaml"
    path.write_text("seeds: 5\nwithout_results: {F1: not run yet}\n")
    assert load_demands(path).without_results == {"F1": "not run yet"}
    path.write_text("seeds: 5\nwithout_results: {F1: ''}\n")
    with pytest.raises(SpecError, match=r"demands\.yaml"):
        load_demands(path)


def test_an_unfinished_study_says_so(root, small, organism_dir, not_drawn, monkeypatch, capsys):
    file = write_file(root / "more.yaml", small(organism_dir, name="more", seeds=[5, 6, 7, 8]))
    monkeypatch.chdir(root)
    monkeypatch.setattr("spurious.study.results.export", not_drawn)
    with pytest.raises(SystemExit) as end:
        main(["study", "results", str(file), "--out", str(root / "out")])
    captured = capsys.readouterr()
    assert end.value.code == 0
    assert str(root / "out" / "more" / "summary.json") in captured.out
    assert "no figures: " in captured.err
    assert "missing:\ntruth on organism, seed 8: owed" in captured.err
    sentences = complaints(root / "out" / "more" / "summary.json", root, DEMANDS)
    assert "seeds: 8 is declared and was not run" in sentences
    assert "declared: nothing says when the expectation was declared" in sentences  # never run as a study
    shutil.rmtree(root / "out" / "more")


def test_a_change_of_the_declaration_is_kept_with_the_runs_done_by_then(root, small, organism_dir, tmp_path):
    first, second = (
        load_spec(write_file(tmp_path / f"{i}.yaml", small(organism_dir, expectation=text)))
        for i, text in enumerate(("A", "B"))
    )
    write_study(tmp_path, first, [], 0)
    write_study(tmp_path, second, [], 3)
    now, then = recorded(folder(tmp_path, "small"), second)[::-1]
    assert (now["same"], now["done"]) == (True, 3)
    assert (then["same"], then["expectation"]) == (False, "A")


def test_commits_that_change_the_declaration_are_dated_among_the_runs(tmp_path, small):
    file = write_file(tmp_path / "s.yaml", small("m", expectation="A"))
    assert committed(file, None, []) == []  # no repository
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    write_file(file, small("m", expectation="A", seeds=9))
    git(tmp_path, "commit", "-qam", "no word of the declaration")
    write_file(file, small("m", expectation="B"))
    git(tmp_path, "commit", "-qam", "two")
    past, future = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    one, two = committed(file, None, [past, future])
    assert (one["same"], one["runs_started"]) == (False, 1)
    assert (two["same"], two["runs_started"]) == (True, 1)


def test_a_profile_is_part_of_the_command(tmp_path):

    assert commands(Path("studies/F1.yaml"), "quick") == [
        "spurious study run studies/F1.yaml --profile quick",
        "spurious study results studies/F1.yaml --profile quick",
    ]
