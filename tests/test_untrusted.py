"""Row files that were made to harm: too large as stored, as unpacked, in rows, in a cell."""

import json

import polars as pl
import pytest

from spurious import untrusted
from spurious.errors import DataError
from spurious.signals.votes import read_votes
from spurious.tasks import files
from spurious.tasks.files import build_file
from spurious.untrusted import read_parquet


@pytest.fixture
def bomb(tmp_path):
    """Ten thousand equal rows of a thousand letters: ten megabytes in a file of a few kilobytes."""
    path = tmp_path / "bomb.parquet"
    table = pl.DataFrame({"question": [f"{i:05d}" + "a" * 1000 for i in range(10_000)], "answer": ["5"] * 10_000})
    table.write_parquet(path, compression="zstd")
    assert path.stat().st_size < 300_000
    return path


def test_a_parquet_file_is_refused_for_what_it_unpacks_to(bomb, monkeypatch):
    monkeypatch.setattr(untrusted, "MAX_UNPACKED", 1_000_000)
    monkeypatch.setattr(pl, "read_parquet", lambda path: pytest.fail("it was unpacked"))
    for read in (build_file, read_votes, read_parquet):
        with pytest.raises(DataError, match=r"bomb\.parquet: 1\d,\d{3},\d{3} bytes when unpacked; at most 1,000,000"):
            read(bomb)


def test_a_parquet_file_is_refused_for_its_rows_and_bytes(bomb, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(untrusted, "MAX_ROWS", 9_999)
        with pytest.raises(DataError, match="10,000 rows; at most 9,999"):
            build_file(bomb)
    monkeypatch.setattr(untrusted, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="at most 100 are read"):
        build_file(bomb)


def test_one_huge_text_that_all_rows_share_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "shared.parquet"
    pl.DataFrame({"question": ["q", "x" * 50_000, "x" * 50_000], "answer": ["1", "2", "3"]}).write_parquet(path)
    monkeypatch.setattr(untrusted, "MAX_CELL", 10_000)
    with pytest.raises(DataError, match=r"shared\.parquet, row 2, column 'question': more than 10,000 bytes of text"):
        build_file(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 300_000, "line 1: unusable JSON"),
        (b'{"question": "q", "answer": ' + b"9" * 9000 + b"}", "line 1: unusable JSON"),
        (b"\xff\xfe{}", r"not UTF-8 text \(byte 0\)"),
        (b"PAR1" + b"\x00" * 100 + b"PAR1", "line 1"),
    ],
)
def test_hostile_json_is_one_message(tmp_path, content, words):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        build_file(path)


def test_a_question_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_TEXT", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "q" * 1001, "answer": "5"}))
    with pytest.raises(DataError, match="row 1, column 'question': 1,001 characters; at most 1,000"):
        build_file(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 64 + b"\xff\xff\xff\x7fPAR1", b"no"])
def test_what_only_calls_itself_parquet_is_refused(tmp_path, content):
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.parquet: not readable as parquet"):
        read_parquet(path)


def test_a_device_a_folder_and_nothing_are_no_files(tmp_path):
    (tmp_path / "folder.parquet").mkdir()
    for path in (tmp_path / "folder.parquet", tmp_path / "none.parquet"):
        with pytest.raises(DataError, match="no such file"):
            read_parquet(path)
