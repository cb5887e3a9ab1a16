"""Every promise of the page is held by tests that exist, and the record it shows is the one that is kept."""

import ast
import importlib
import json
import re
from functools import cache

import pytest
from docs_pages import DOCS, ROOT, text_of

ROWS = [line for line in text_of("guarantees").splitlines() if line.startswith("| ") and "::" in line]
NAMED = sorted(set(re.findall(r"`(tests/\S+?\.py)::(\w+)`", "\n".join(ROWS))))
RECORD = json.loads((DOCS / "chaos.json").read_text(encoding="utf-8"))


@cache
def functions(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_is_named_exists(file, name):
    assert name in functions(file)
    assert name.startswith("test_")


def test_every_promise_names_a_test():
    assert len(ROWS) > 20
    for row in ROWS:
        promise, held, figure = (cell.strip() for cell in row.strip("|").split(" | "))
        assert promise
        assert re.fullmatch(r"`tests/\S+?\.py::test_\w+`(, `tests/\S+?\.py::test_\w+`)*", held), row
        assert figure == figure.strip()


def test_nothing_was_lost_or_wrong_in_the_record():
    assert RECORD["rows_lost"] == RECORD["wrong_results"] == 0
    assert RECORD["recoveries"] == RECORD["survived"] == RECORD["bytes_equal"]


def test_the_page_shows_the_record():
    page = text_of("guarantees")
    for work, tally in RECORD["by_work"].items():
        assert (
            f"| {work} | {tally['instants']} | {tally['killed']} | {tally['recoveries']} | {tally['bytes_equal']} |"
            in page
        )
    said = f"{RECORD['instants']} instants in {RECORD['minutes']:g} minutes"
    assert said in page


def test_the_page_shows_what_changes_a_result(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    determinism = importlib.import_module("determinism")
    record = json.loads(determinism.RECORD.read_text(encoding="utf-8"))
    assert determinism.page(record) == text_of("guarantees"), "run: python benchmarks/determinism.py MODEL --write"
    assert list(record["variants"]) == [variant.name for variant in determinism.VARIANTS]
    for variant in determinism.VARIANTS:
        found = record["variants"][variant.name]
        assert found["same_bytes"] or not variant.same_bytes
        assert found["same_bytes"] == (found["distance_of_weights"] == 0)
