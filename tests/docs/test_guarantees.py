"""Every promise of the page is held by tests that exist."""

import ast
import re
from functools import cache

import pytest
from docs_pages import ROOT, text_of

ROWS = [line for line in text_of("guarantees").splitlines() if line.startswith("| ") and "::" in line]
NAMED = sorted(set(re.findall(r"`(tests/\S+?\.py)::(\w+)`", "\n".join(ROWS))))


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
