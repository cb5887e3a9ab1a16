"""SECURITY.md: every line of the checklist names tests that exist, or says why there is none."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from spurious.specs import BenchSpec, TaskSpec
from spurious.study.spec import StudySpec

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.partition("## Checklist")[2].splitlines() if line.startswith("| ")][1:]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_a_line_is_answered_by_tests_or_by_a_reason(row):
    assert re.search(r"`tests/[\w/]+\.py::\w+`", row) or "no test" in row


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path, name):
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_nothing_in_the_source_unpickles_or_trusts_remote_code():
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    for path, text in sources.items():
        assert not re.search(r"torch\.load\(|\b(?:pickle|cPickle|dill|joblib|marshal|shelve)\.loads?\(", text), path
        assert not re.search(
            r"yaml\.(?:unsafe_load|full_load|Loader|UnsafeLoader|FullLoader)|shell=True|os\.system\(", text
        ), path
        after = re.findall(r"trust_remote_code(.{0,8})", text)
        assert all(said.startswith(("=False", '": False', '" in str')) for said in after), path


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", "a/b", "a\x1b[2J", "", "a b"])
def test_names_of_studies_and_benchmarks_are_no_paths(name):
    with pytest.raises(ValidationError, match="name"):
        StudySpec.model_validate({"name": name})
    for bench in ({"name": name, "task": TaskSpec(name="chain")}, {"task": TaskSpec(name=f"{name}.jsonl")}):
        try:
            assert "/" not in BenchSpec(**bench).slug
        except ValidationError as error:
            assert "may hold only" in str(error)  # noqa: PT017


def test_the_page_shows_the_record_of_the_fuzzer_and_of_the_crowd():
    record = json.loads((ROOT / "docs" / "hostile.json").read_text(encoding="utf-8"))
    fuzzed, crowd = [one for name, one in record.items() if "seed" in name], record["load"]
    for one in fuzzed:
        assert one["findings"] == len(one.get("mended", ()))
        assert one["processes_left"] == 0
        assert one["files_created"] == []
        assert max(one["slowest_cpu_seconds"].values()) < 2
    assert crowd["mistaken"] == crowd["different_alone"] == crowd["leaks"] == []
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    tried = [sum(one[what] for one in fuzzed) for what in ("completions_extracted", "answers_compared")]
    for number in (*tried, crowd["grades"]):
        assert f"{number:,} " in page
