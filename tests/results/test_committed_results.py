"""The results that this repository keeps are whole, and the pages made from them are up to date."""

from pathlib import Path

import pytest

from spurious.study.checked import complaints, load_demands, unaccounted
from spurious.study.pages import filled

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
DEMANDS = load_demands(RESULTS / "demands.yaml")
PAPER = [*(f"F{i}" for i in range(1, 26)), *(f"Q{i}" for i in range(1, 11))]
RANDOM_CONTROLS = ("F13", "F14", "F15", "F16", "Q6")
SUMMARIES = sorted(RESULTS.glob("*/summary.json"))


def test_the_results_are_complete_by_todays_study_files():
    """One test over all, so that it is there while there are none."""
    found = {path.parent.name: sentences for path in SUMMARIES if (sentences := complaints(path, ROOT, DEMANDS))}
    assert not found, "\n".join(f"{name}: {one}" for name, sentences in found.items() for one in sentences)


def test_no_study_of_the_paper_is_absent_in_silence():
    studies = [path.stem for path in (ROOT / "studies" / "paper").glob("*.yaml")]
    assert set(PAPER) <= set(studies)
    assert unaccounted(RESULTS, sorted(studies), DEMANDS) == []


def test_the_demands_are_those_of_the_acceptance():
    assert DEMANDS.seeds >= 5
    assert all(DEMANDS.more_seeds.get(name, 0) >= 10 for name in RANDOM_CONTROLS)


@pytest.mark.parametrize("name", ["paper.md", "findings.md", "engines.md", "reading.md"])
def test_tables_of_pages_are_made_from_the_results(name):
    page = ROOT / "docs" / name
    assert filled(page, RESULTS, DEMANDS) == page.read_text(encoding="utf-8"), "run: spurious study pages docs/*.md"


def test_every_study_has_its_place_on_the_page_and_its_command():
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    for name in [*PAPER, *(path.stem for path in (ROOT / "studies" / "paper").glob("*.yaml"))]:
        assert text.count(f"\n<!-- results: {name} -->\n") == 1, name
        assert f"spurious study run studies/paper/{name}.yaml" in text
