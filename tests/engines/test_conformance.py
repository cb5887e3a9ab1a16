"""Other trainers' numbers beside ours: the committed ones, and those of every trainer that is installed here."""

import importlib.util
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def conformance():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("conformance")


def agree(found):
    return [
        (option, column, row[column])
        for option, row in found["options"].items()
        if not isinstance(row, str)
        for column in ("advantage", "loss", "gradient")
        if not row[column] < TOLERANCE
    ]


def test_the_page_shows_what_was_measured_and_all_of_it_agrees(conformance):
    record = json.loads(conformance.RECORD.read_text(encoding="utf-8"))
    assert conformance.page(record) == conformance.PAGE.read_text(encoding="utf-8"), (
        "run: python benchmarks/conformance.py --write"
    )
    assert record.keys() == conformance.PEERS.keys()
    for name, found in record.items():
        assert found["options"].keys() == conformance.OPTIONS.keys()
        assert {o for o, row in found["options"].items() if isinstance(row, str)} == conformance.PEERS[
            name
        ].without.keys()
        assert agree(found) == []


@pytest.mark.filterwarnings("ignore")  # other trainers' own
@pytest.mark.parametrize("name", ["TRL", "verl", "OpenRLHF"])
def test_an_installed_trainer_agrees(conformance, name, monkeypatch):
    package = conformance.PEERS[name].package
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    found = conformance.measure(name)
    assert agree(found) == []
    moved = [row for row in found["options"].values() if not isinstance(row, str)]
    assert min(row["largest gradient"] for row in moved) > 1e-3  # there was something to agree on


def test_one_operator_less_is_seen(conformance, tmp_path, monkeypatch):
    """The comparison itself: ours without a clip is not ours with one."""
    made = conformance.material(tmp_path)
    with_clip = conformance.ours(made, "group std, mean by sequence, clip 0.2")
    for option in ("no clip", "lower clip only", "upper clip only", "clip 0.1 below, 0.3 above"):
        other = conformance.ours(made, option)
        assert float((with_clip.gradient - other.gradient).abs().max()) > 100 * TOLERANCE
