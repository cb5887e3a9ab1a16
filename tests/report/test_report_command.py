"""`spurious report` as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from report_store import ARMS, DECLARED, spec, write_run

from spurious.cli import main
from spurious.study import Cell, StudySpec
from spurious.study.record import folder, write_study


@pytest.fixture
def command(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["report", *map(str, arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def test_a_run_gets_a_page_beside_its_tables(command, tmp_path):
    cell = write_run(tmp_path, "random", "good-code", 0)
    code, out, err = command(cell.directory)
    assert (code, err) == (0, "")
    assert out.strip() == str(cell.directory / "report.html")
    assert "About this run only" in (cell.directory / "report.html").read_text(encoding="utf-8")


def test_a_study_gets_a_page_in_its_folder_and_its_numbers_as_json(command, capsys, tmp_path):
    wanted = [(arm, "good-code", seed) for seed in (0, 1, 2) for arm in ("ground truth", "random")]
    made = [write_run(tmp_path, *one) for one in wanted]
    cells = [Cell(c.arm, c.role, c.model, c.seed, c.run, c.directory) for c in made]
    run = spec("random", "good-code", 0).model_dump(mode="json")
    declared = StudySpec(
        name=DECLARED.name,
        question=DECLARED.question,
        expectation=DECLARED.expectation,
        base={name: run[name] for name in ("task", "grpo", "steps")},
        arms={arm: {"role": ARMS[arm], "reward": "random"} for arm in ("ground truth", "random")},
        models={"good-code": "organisms/good-code"},
        seeds=[0, 1, 2],
        benches=[{"task": "chain"}],
        primary="accuracy@final on chain",
        behavior="boxed",
    )
    write_study(tmp_path, declared, cells, done=6)
    home = folder(tmp_path, declared.name)
    code, out, err = command(home)
    assert (code, err) == (0, "")
    assert out.strip() == str(home / "report.html")
    html = (home / "report.html").read_text(encoding="utf-8")
    assert "On good-code, ground truth beats random by +30.0 points" in html
    assert "6 runs done" in html
    assert "CC kept code" not in html
    assert f"spurious study run {home / 'study.yaml'} --store {tmp_path}" in html

    with pytest.raises(SystemExit) as end:
        main(["analyze", str(home), "--json"])
    assert end.value.code == 0
    (found,) = json.loads(capsys.readouterr().out)["studies"]
    assert found["source"] == str(home)
    paid = [row for row in found["analyses"]["onset"]["means"] if row["quantity"] == "accuracy change"]
    assert [(row["arm"], row["seeds"], row["of"]) for row in paid] == [("ground truth", 3, 3), ("random", 3, 3)]


def test_the_page_goes_where_it_is_wanted(command, tmp_path):
    cell = write_run(tmp_path, "random", "good-code", 0)
    code, _, _ = command(cell.directory, "--out", tmp_path / "page.html")
    assert code == 0
    assert (tmp_path / "page.html").stat().st_size > 4_000_000


def test_a_folder_that_is_neither_study_nor_run_is_refused(command, tmp_path):
    code, out, err = command(tmp_path)
    assert (code, out) == (2, "")
    assert "neither a study's folder" in err
    assert str(tmp_path) in err


def test_a_path_that_is_not_there_is_refused(command, tmp_path):
    code, _, err = command(tmp_path / "no.yaml")
    assert code == 2
    assert "no.yaml" in err


def test_a_report_needs_no_torch():
    program = "import sys, spurious.report; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


def test_figures_need_their_extra(command, tmp_path, monkeypatch):
    monkeypatch.setattr("spurious.report.static.find_spec", lambda name: None)
    cell = write_run(tmp_path, "random", "good-code", 0)
    code, _, err = command(cell.directory, "--figures", tmp_path / "figures")
    assert code == 2
    assert "spurious[figures]" in err


@pytest.mark.slow
def test_figures_are_drawn_for_papers(command, tmp_path, browser):
    pytest.importorskip("kaleido", reason="the extra 'figures' is not installed")
    cell = write_run(tmp_path, "random", "good-code", 0)
    code, out, err = command(cell.directory, "--figures", tmp_path / "figures", "--format", "svg")
    assert code == 0, err
    paths = [Path(line) for line in out.split("\n") if line]
    assert len(paths) >= 8
    for path in paths:
        assert path.read_text(encoding="utf-8").lstrip().startswith("<svg")
        assert path.with_suffix(".csv").stat().st_size > 20
