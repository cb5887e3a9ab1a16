"""The performance page shows its records; and the small tools of the benchmarks, against numbers known beforehand."""

import importlib
import json
from argparse import Namespace
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """Import a benchmark's module."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def record(benchmark, monkeypatch, tmp_path):
    """The module `record`, with a page and a folder of its own."""
    module = benchmark("record")
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(module, "FOLDER", tmp_path / "records")
    (tmp_path / "page.md").write_text("Before.\n<!-- measured: speed -->\n<!-- end of measured -->\nAfter.\n")
    return module


def test_the_page_shows_what_was_measured(benchmark):
    record, every = benchmark("record"), benchmark("run_all").BENCHMARKS
    assert record.page() == record.PAGE.read_text(encoding="utf-8"), "run: make bench"
    for name in every:
        assert (BENCHMARKS / f"{name}.py").is_file()
        assert f"<!-- measured: {name} -->" in record.page()
    assert {path.stem for path in record.FOLDER.glob("*.json")} <= set(every)


def test_a_picture_is_drawn_from_its_record(benchmark):
    record = benchmark("record")
    path = record.FOLDER / "where_seconds_go.json"
    if not path.exists():
        pytest.skip("no record yet")
    (table,) = json.loads(path.read_text(encoding="utf-8"))["tables"]
    drawn = benchmark("where_seconds_go").picture(table["rows"])
    assert drawn == path.with_suffix(".svg").read_text(encoding="utf-8")


def test_a_record_is_kept_and_shown_only_if_asked(record, benchmark, capsys):
    ratio = benchmark("side_by_side").ratio([1.0, 2.0, 1.0], [2.0, 3.0, 4.0])
    tables = [record.Table("Cars", [{"car": "red", "speed": 1234.5, "times": ratio, "goal": None}])]
    for write in (False, True):
        arguments = Namespace(write=write, pairs=3, model=Path("/somewhere"))
        record.publish("speed", tables, arguments, notes=["Wind."], picture="<svg/>")
        assert (record.FOLDER / "speed.json").exists() == write
    printed = capsys.readouterr().out.splitlines()
    assert printed[0:3] == ["Cars", "car  speed                times  goal", "red  1,234  2.00 (1.50 to 4.00)     –"]
    kept = json.loads((record.FOLDER / "speed.json").read_text())
    assert kept == json.loads(printed[-1])
    assert kept["conditions"] == {"pairs": 3}
    assert {"processor", "cores", "versions", "commit"} <= kept["machine"].keys()
    assert "/somewhere" not in json.dumps(kept)
    page = record.PAGE.read_text(encoding="utf-8")
    assert "| red | 1,234 | 2.00 (1.50 to 4.00) | – |" in page
    assert "Wind.\n\n![speed](performance/speed.svg)\n<!-- end of measured -->\nAfter.\n" in page
    assert record.page() == page


def test_what_was_not_measured_says_how(record):
    assert "Not measured yet: `make bench BENCH=speed`." in record.page()


def test_the_interval_of_a_ratio_covers_its_median(benchmark):
    """Of 8 pairs the second smallest and largest: 1 - 2 (1 + 8) / 256 = 0.93; the third ones would cover 0.71."""
    ours, others = [1.0] * 8, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    found = benchmark("side_by_side").ratio(ours, others)
    assert (found.median, found.low, found.high, found.pairs) == (4.5, 2.0, 7.0, 8)
    few = benchmark("side_by_side").ratio(ours[:3], others[:3])
    assert (few.low, few.high) == (1.0, 3.0)


def test_an_exponent_is_the_slope_of_logarithms(benchmark):
    exponent = benchmark("growth").exponent
    assert exponent([1, 2, 4], [3, 6, 12]) == pytest.approx(1)
    assert exponent([1, 2, 4], [5, 20, 80]) == pytest.approx(2)
    assert exponent([1, 10], [7, 7]) == pytest.approx(0)
