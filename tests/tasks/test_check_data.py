import json
import time
from collections import Counter

import pytest

from spurious.errors import DataError
from spurious.specs import TaskSpec
from spurious.tasks import read_task
from spurious.tasks.check import as_dicts, as_table, check


def task_of(tmp_path, rows, name="set"):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps([{"question": question, "answer": answer} for question, answer in rows]))
    return read_task(TaskSpec(name=str(path)))


def kinds(findings):
    return [(finding.where.rpartition(" ")[2], finding.field, finding.kind) for finding in findings]


def test_a_clean_set_has_no_findings(tmp_path):
    findings = check(task_of(tmp_path, [("1+1?", "2"), ("2+2?", "4")]))
    assert findings == []
    assert as_table(findings) == "nothing found"


def test_rows_that_cannot_be_graded(tmp_path):
    findings = check(task_of(tmp_path, [("a?", ""), ("", "1"), ("b?", r"3 \mid n"), ("c?", "5")]))
    assert kinds(findings) == [
        ("1", "answer", "unusable"),
        ("2", "question", "unusable"),
        ("3", "answer", "unusable"),
    ]
    assert r"3 \\mid n" in findings[2].message


def test_duplicates_verbatim_and_near(tmp_path):
    rows = [("What is $1+2$?", "3"), ("Other", "7"), ("What is $1+2$?", "3"), (r"what is \(1 + 2\)", "3.0")]
    findings = check(task_of(tmp_path, rows))
    assert kinds(findings) == [("3", "question", "duplicate"), ("4", "question", "near-duplicate")]
    assert findings[0].message == "the same question as set.json, row 1"


def test_a_verbatim_copy_of_a_near_copy_is_a_duplicate_of_it(tmp_path):
    findings = check(task_of(tmp_path, [("Find x.", "3"), ("find $x$", "3"), ("find $x$", "3")]))
    assert [(f.kind, f.message) for f in findings] == [
        ("near-duplicate", "the same question as set.json, row 1"),
        ("duplicate", "the same question as set.json, row 2"),
    ]


def test_answers_that_only_look_different_are_no_contradiction(tmp_path):
    rows = [("a?", r"\frac{1}{2}"), ("a?", "0.5"), ("a?", r"\dfrac12"), ("b?", "18"), ("b?", "64")]
    contradictions = [f for f in check(task_of(tmp_path, rows)) if f.kind == "contradiction"]
    assert [(f.where, f.field, f.message) for f in contradictions] == [
        ("set.json, row 5", "answer", "'64' here, '18' in set.json, row 4")
    ]


def test_overlap_with_another_set(tmp_path):
    long = "a b c d e f g h i j k l m n o p q r"
    test = task_of(tmp_path, [("What is $1+2$?", "3"), (long, "4"), ("Fresh?", "5"), ("Twice?", "6")], "test")
    train = task_of(tmp_path, [("what is 1 + 2", "3"), (long + " s t u", "4"), ("Twice?", "7")], "train")
    findings = check(test, train)
    assert [(f.where, f.kind, f.message) for f in findings] == [
        ("test.json, row 1", "overlap", "also train.json, row 1, with the same answer"),
        ("test.json, row 2", "partial-overlap", "100% of its runs of 13 words stand in train.json, row 2"),
        ("test.json, row 4", "overlap", "also train.json, row 3, with answer '7'"),
    ]


def test_findings_come_in_the_order_of_rows_and_both_renderings_hold_all(tmp_path):
    findings = check(task_of(tmp_path, [("a?", "1"), ("a?", "2"), ("b?", ""), ("a?", "1")]))
    assert [f.where for f in findings] == [f"set.json, row {n}" for n in (2, 2, 3, 4)]
    table = as_table(findings).splitlines()
    assert table[0].split() == ["where", "field", "kind", "message"]
    assert len(table) == 1 + len(findings) + 1
    assert table[-1] == "2 duplicate, 1 contradiction, 1 unusable"
    assert json.loads(json.dumps(as_dicts(findings)))[0] == {
        "where": "set.json, row 2",
        "field": "question",
        "kind": "duplicate",
        "message": "the same question as set.json, row 1",
    }


def test_generated_tasks_can_be_checked_too():
    assert check(read_task(TaskSpec(name="chain", args={"size": 64}))) == []


def test_a_missing_column_is_an_error(tmp_path):
    (tmp_path / "a.json").write_text('[{"question": "a?"}]')
    with pytest.raises(DataError, match="no column for the answer"):
        read_task(TaskSpec(name=str(tmp_path / "a.json")))


def test_math500_against_deepscaler_finds_the_known_contamination(shared):
    test = read_task(TaskSpec(name="math500"), data_dir=shared / "data")
    train = read_task(TaskSpec(name="deepscaler"), data_dir=shared / "data")
    assert len(train.problems) == 39_808
    overlaps = [f for f in check(test, train) if "overlap" in f.kind]
    exact = [f for f in overlaps if f.kind == "overlap"]
    # An independent count found 8 exact by letters and digits alone, and 19 with those that share half their runs.
    assert 7 <= len(exact) <= 10
    assert 18 <= len(overlaps) <= 21


@pytest.mark.slow
def test_deepscaler_is_checked_in_time_and_its_duplicates_are_the_known_ones(shared):
    task = read_task(TaskSpec(name="deepscaler"), data_dir=shared / "data")
    start = time.monotonic()
    counts = Counter(finding.kind for finding in check(task))
    assert time.monotonic() - start < 120
    assert counts["duplicate"] == 39_808 - 38_892
    # An independent count by letters and digits alone: 1,529 surplus rows, verbatim ones included.
    assert 1_450 <= counts["duplicate"] + counts["near-duplicate"] <= 1_550
    assert 200 <= counts["contradiction"] <= 350
    assert counts["unusable"] < 60
    assert counts["undecided"] <= 5
