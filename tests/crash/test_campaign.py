"""Everything that takes a while, killed before each kind of file appears under its name, and started again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import Tally, document
from works import WORKS

CHAOS = Path(__file__).with_name("chaos.py")


@pytest.fixture(scope="module")
def campaign():
    """In a process of its own: what is killed is forked from it, and a fork must not inherit anybody's threads."""
    done = subprocess.run([sys.executable, str(CHAOS), "--boundaries"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{"), done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS)
def test_killed_before_a_file_appears_it_comes_to_the_same_bytes(campaign, work):
    tally = campaign["by_work"][work]
    assert tally["instants"] == tally["killed"] == tally["recoveries"] == tally["survived"] >= 1
    assert tally["bytes_equal"] + tally["refused"] == tally["recoveries"], tally["said"]
    assert tally["rows_lost"] == tally["wrong_results"] == 0, tally["said"]
    assert tally["refused"] == 0, tally["said"]


def test_the_last_document_adds_up():
    told = json.loads(document({"a": Tally(instants=2, rows_lost=1), "b": Tally(instants=3)}, minutes=1.5))
    assert (told["instants"], told["rows_lost"], told["minutes"]) == (5, 1, 1.5)
    assert told["by_work"]["b"]["instants"] == 3
