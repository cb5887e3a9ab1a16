"""Files that are broken, huge or made to harm: one error that names file and row, or read for what they are."""

import json
import pickle

import polars as pl
import pytest

from spurious import untrusted
from spurious.engines import read, record
from spurious.errors import DataError, InputError

GOOD = {"prompt": "2+2", "text": "\\boxed{4}", "answer": "4"}


def lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"prompt": "2+2", "te', "line 2.*broken JSON"),
        ('["a", "list"]', "row 2: a row is an object"),
        ("[" * 100_000, "line 2.*JSON"),
        ('{"text": "a", "step": ' + "9" * 5000 + "}", "line 2.*JSON"),
        ({"text": "a", "step": 10**30}, "row 2, column 'step'.*64 bits"),
        ({"text": "a", "step": True}, "row 2, column 'step'"),
        ({"text": "a", "step": 1.5}, "row 2, column 'step'"),
        ({"text": "a", "reward": "1"}, "row 2, column 'reward': a str is not a number"),
        ('{"text": "a", "reward": Infinity}', "row 2, column 'reward'.*infinite"),
        ({"text": "a", "reward": 10**400}, "row 2, column 'reward'.*too large"),
        ({"text": {"a": 1}}, "row 2, column 'text': a dict"),
        ({"text": True}, "row 2, column 'text': a bool"),
        ({"text": [1, 2]}, "row 2, column 'text'.*messages"),
        ({"text": [{"role": "assistant", "content": 3}]}, "row 2, column 'text'.*content is a int"),
        ({"text": None}, "row 2: no completion text"),
        ({"prompt": "2+2"}, "row 2: no completion text"),
        ({"text": "a", "answer": ["4", "5"]}, "row 2, column 'answer'"),
    ],
)
def test_a_bad_row_is_refused_by_file_and_row(tmp_path, row, words):
    with pytest.raises(DataError, match=rf"rows\.jsonl, {words}"):
        read(lines(tmp_path / "rows.jsonl", GOOD, row), format="jsonl")


def test_odd_but_legal_rows_are_read(tmp_path):
    odd = ['{"text": "\\ud83d\\ude00 and \\ud800 alone", "reward": NaN}', {"text": "", "answer": ""}, {"text": 7}]
    (found,) = read(lines(tmp_path / "rows.jsonl", *odd))
    assert found.rows["text"].to_list() == ["😀 and � alone", "", "7"]
    assert found.rows["reward"].to_list() == [None, None, None]
    assert found.rows["grade"].to_list() == [None, None, None]


def test_limits_are_kept_and_named(tmp_path, monkeypatch):
    path = lines(tmp_path / "rows.jsonl", GOOD, GOOD | {"text": "x" * 200}, GOOD)
    table = tmp_path / "rows.parquet"
    pl.DataFrame([GOOD] * 3).write_parquet(table)
    with monkeypatch.context() as patch:
        patch.setattr(record, "MAX_TEXT", 100)
        with pytest.raises(DataError, match=r"rows\.jsonl, row 2, column 'text': 200 characters; at most 100"):
            read(path)
    with monkeypatch.context() as patch:
        patch.setattr(untrusted, "MAX_ROWS", 2)
        with pytest.raises(DataError, match=r"rows\.jsonl: more than 2 rows"):
            read(path)
        with pytest.raises(DataError, match=r"rows\.parquet: 3 rows; at most 2"):
            read(table)
    monkeypatch.setattr(untrusted, "MAX_BYTES", 100)
    with pytest.raises(DataError, match=r"rows\.jsonl: \d+ bytes; at most 100"):
        read(path)


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('unpickled')",))

    for name in ("rows.pkl", "rows.pt", "rows.parquet", "rows.jsonl"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read(path)


def test_missing_and_empty_paths_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no \.jsonl or \.parquet file here"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"empty\.jsonl: no rows"):
        read(lines(tmp_path / "empty.jsonl"))
    with pytest.raises(DataError, match="no run directory of ours"):
        read(tmp_path, format="own")


def test_rows_of_no_known_shape_say_how_to_name_their_columns(tmp_path):
    with pytest.raises(DataError, match=r"--column text=NAME \(it has a, b\)"):
        read(lines(tmp_path / "rows.jsonl", {"a": 1, "b": 2}))


@pytest.mark.parametrize("format", ["trl", "verl", "openrlhf", "lm-eval"])
def test_a_format_that_is_asked_for_and_not_there_is_refused(tmp_path, format):
    with pytest.raises(DataError, match=r"rows\.jsonl, row 1"):
        read(lines(tmp_path / "rows.jsonl", {"a": 1, "b": 2.5}), format=format)


def test_a_folder_holds_one_format(tmp_path):
    lines(tmp_path / "1.jsonl", {"input": "2+2", "output": "4", "gts": "4", "score": 1.0, "step": 1})
    lines(tmp_path / "2.jsonl", GOOD)
    with pytest.raises(DataError, match=r"2\.jsonl: not of the same format as 1\.jsonl \(verl\)"):
        read(tmp_path)


def test_our_own_tables_are_checked_like_anybodys(tmp_path):
    path = tmp_path / "own.parquet"
    good = {"problem_id": ["p"], "text": ["4"], "grade": ["correct"]}
    for bad, words in (
        ({**good, "step": ["one"]}, "not of its type"),
        ({name: pl.Series([], dtype=pl.String) for name in good}, "no rows"),
        ({**good, "grade": pl.Series([None], dtype=pl.String)}, "row 1, column 'grade': it is empty"),
    ):
        pl.DataFrame(bad).write_parquet(path)
        with pytest.raises(DataError, match=rf"own\.parquet.*{words}"):
            read(path)
    pl.DataFrame(good).write_parquet(path)
    with pytest.raises(DataError, match=r"own\.jsonl: our own tables are parquet files"):
        read(lines(tmp_path / "own.jsonl", {"problem_id": "p", "text": "4", "grade": "correct"}))
    with pytest.raises(InputError, match="--column reward=paid"):
        read(lines(tmp_path / "rows.jsonl", GOOD), columns={"reward": "paid"})
    with pytest.raises(InputError, match="tables of ours, whose columns are known"):
        read(path, columns={"text": "text"})
    (found,) = read(path)
    assert found.rows.select("grade", "n_tokens", "behavior/characters").row(0) == ("correct", None, 1.0)
