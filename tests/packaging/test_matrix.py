"""The ends of the version ranges: what is installed at the lower one, and the page shows what was tried."""

import json
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import matrix  # noqa: E402

RECORD = json.loads(matrix.RECORD.read_text(encoding="utf-8")) if matrix.RECORD.exists() else {}


def test_the_lower_end_is_the_lowest_version_that_is_allowed():
    assert matrix.lowest([Requirement("a>=1.2"), Requirement("b<3,>=2.0,!=2.1")]) == ["a==1.2", "b==2.0"]
    with pytest.raises(ValueError, match="c<2: no lowest version"):
        matrix.lowest([Requirement("c<2")])


def test_every_requirement_of_the_core_has_a_lower_end():
    core = matrix.declared()
    assert {one.name for one in core} >= {"torch", "transformers", "pydantic"}
    assert len(matrix.lowest(core)) == len(core)
    assert "pytest" in {one.name for one in matrix.declared("dev")}


def test_the_page_shows_what_was_tried():
    assert matrix.page(RECORD) == matrix.PAGE.read_text(encoding="utf-8"), "run: make matrix"


@pytest.mark.parametrize("kind", RECORD)
def test_what_was_tried_went_well_at_a_version_that_is_allowed(kind):
    assert (" 0 failed" if kind in matrix.ENDS else "exit status 0, ") in RECORD[kind]["did"]
    for one in matrix.declared():
        if one.name in matrix.SHOWN:
            assert one.specifier.contains(Version(RECORD[kind]["versions"][one.name]).base_version)
    if kind == "oldest":
        pins = dict(pin.split("==") for pin in matrix.lowest(matrix.declared()))
        for name in matrix.SHOWN:
            assert Version(RECORD[kind]["versions"][name]).release[:2] == Version(pins[name]).release[:2]
