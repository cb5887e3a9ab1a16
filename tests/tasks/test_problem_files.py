import hashlib
import json

import polars as pl
import pytest

from spurious.errors import DataError, SpecError
from spurious.specs import TaskSpec
from spurious.tasks import load_task, read_task

ROWS = [{"prompt": "1+1?", "answer": "2", "id": "a"}, {"prompt": "2+2?", "answer": "4", "id": "b"}]


def write(path, rows):
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


def load(path, **args):
    return load_task(TaskSpec(name=str(path), args=args))


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_problems(tmp_path, suffix):
    path = write(tmp_path / f"set{suffix}", ROWS)
    task = load(path)
    assert [(p.question, p.answer, p.source) for p in task.problems] == [("1+1?", "2", "set"), ("2+2?", "4", "set")]
    assert [p.metadata for p in task.problems] == [{"file": path.name, "row": 1}, {"file": path.name, "row": 2}]
    assert task.source == {"files": [{"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]}
    assert task.digest == load(write(tmp_path / "other.json", ROWS)).digest


def test_the_usual_column_names_are_found_and_an_answer_is_preferred_to_a_solution(tmp_path):
    row = {"solution": "Because 1.", "problem": "0+1?", "answer": 1, "subject": "Algebra"}
    (problem,) = load(write(tmp_path / "a.json", [row])).problems
    assert (problem.question, problem.answer, problem.kind) == ("0+1?", "1", "Algebra")


def test_columns_can_be_named(tmp_path):
    row = {"question": "not this", "frage": "0+1?", "antwort": "1", "level": 3, "thema": "sum"}
    path = write(tmp_path / "a.json", [row])
    (problem,) = load(path, question="frage", answer="antwort", kind="thema").problems
    assert (problem.question, problem.answer, problem.kind) == ("0+1?", "1", "sum")


def test_numbers_are_written_as_they_are(tmp_path):
    rows = [{"prompt": "q", "answer": 142.0}, {"prompt": "r", "answer": "070"}, {"prompt": "s", "answer": 7}]
    assert [p.answer for p in load(write(tmp_path / "a.json", rows)).problems] == ["142.0", "070", "7"]


def test_a_missing_column_names_file_and_the_columns_there_are(tmp_path):
    path = write(tmp_path / "a.json", [{"prompt": "q", "gold_answer": "1"}])
    with pytest.raises(DataError, match=r"a\.json: no column for the answer: .* only prompt, gold_answer"):
        load(path)
    with pytest.raises(DataError, match=r"a\.json, row 1: no column 'antwort'; it has prompt, gold_answer"):
        load(path, answer="antwort")


def test_a_column_missing_further_down_names_the_row(tmp_path):
    path = write(tmp_path / "a.jsonl", [*ROWS, {"prompt": "q"}])
    with pytest.raises(DataError, match=r"a\.jsonl, row 3: no column 'answer'; it has prompt"):
        load(path)


def test_a_cell_that_is_no_text_names_row_and_column(tmp_path):
    path = write(tmp_path / "a.json", [*ROWS, {"prompt": "q", "answer": ["1", "2"]}])
    with pytest.raises(DataError, match=r"a\.json, row 3, column 'answer': a list is neither text nor a number"):
        load(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '[{"prompt": "q",\n "answer": }]', r"a\.json, line 2, column 12: broken JSON"),
        ("a.jsonl", '{"prompt": "q", "answer": "1"}\n\n{"prompt": \n', r"a\.jsonl, line 3, column \d+: broken JSON"),
        ("a.json", '{"prompt": "q"}', r"a\.json: a JSON problem file holds a list of objects, not a dict"),
        ("a.json", "[1]", r"a\.json, row 1: a row is an object with columns, not a int"),
        ("a.json", "[]", r"a\.json: no rows"),
        ("a.json", "[" * 100_000, r"a\.json, line 1: unusable JSON"),
        ("a.json", "[" + "1" * 5000 + "]", r"a\.json, line 1: unusable JSON"),
        ("a.parquet", "no parquet", r"a\.parquet: not readable as parquet"),
    ],
)
def test_broken_files_name_the_place(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load(path)


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json: no such file"):
        load(tmp_path / "gone.json")
    (tmp_path / "latin.json").write_bytes(b'[{"prompt": "\xe9"}]')
    with pytest.raises(DataError, match=r"latin\.json: not UTF-8 text \(byte 13\)"):
        load(tmp_path / "latin.json")
    with pytest.raises(SpecError, match=r"task: .*set\.csv' is unknown; .*paths that end in \.json"):
        load(tmp_path / "set.csv")


BAD = [*ROWS, {"prompt": "q", "answer": ""}, {"prompt": " ", "answer": "1"}, {"prompt": "r", "answer": None}]


def test_rows_that_cannot_be_used_stop_the_load_and_are_named(tmp_path):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path / "a.json", BAD))
    message = str(caught.value)
    assert "3 unusable rows" in message
    assert "a.json, row 3, answer: empty" in message
    assert "a.json, row 4, question: empty" in message


def test_a_gold_that_no_parser_understands_is_shown(tmp_path):
    with pytest.raises(DataError, match=r"a\.json, row 3, answer: '3 \\\\mid n': "):
        load(write(tmp_path / "a.json", [*ROWS, {"prompt": "q", "answer": r"3 \mid n"}]))


def test_bad_rows_can_be_dropped_and_are_reported(tmp_path):
    path = write(tmp_path / "a.json", BAD)
    task = load(path, bad_rows="drop")
    assert [p.question for p in task.problems] == ["1+1?", "2+2?"]
    assert task.source["dropped"] == [
        "a.json, row 3, answer: empty",
        "a.json, row 4, question: empty",
        "a.json, row 5, answer: empty",
    ]
    assert len(read_task(TaskSpec(name=str(path))).problems) == 5


def test_nothing_left_is_an_error_even_where_rows_may_be_dropped(tmp_path):
    with pytest.raises(DataError, match="1 unusable rows"):
        load(write(tmp_path / "a.json", BAD[2:3]), bad_rows="drop")


def test_a_limit_is_applied_before_the_check(tmp_path):
    path = write(tmp_path / "a.json", BAD)
    assert len(load_task(TaskSpec(name=str(path), limit=2)).problems) == 2


def test_kinds_choose_problems(tmp_path):
    rows = [{"prompt": f"{i}?", "answer": "1", "kind": "even" if i % 2 == 0 else "odd"} for i in range(6)]
    path = write(tmp_path / "a.json", rows)
    assert [p.question for p in load(path, kinds=["odd"]).problems] == ["1?", "3?", "5?"]
    with pytest.raises(SpecError, match=r"args.kinds: no problem of kind 'prime'; there are \['even', 'odd'\]"):
        load(path, kinds=["prime"])


def test_verbatim_copies_are_kept_and_share_an_id(tmp_path):
    one, two = load(write(tmp_path / "a.json", [ROWS[0], ROWS[0]])).problems
    assert one.id == two.id
