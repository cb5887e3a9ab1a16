import json

import pytest

from spurious.errors import StoreError
from spurious.store import files


def test_replacing_a_file_keeps_the_old_one_when_the_write_fails(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(RuntimeError, match="disk"), files.replacing(path) as temporary:
        temporary.write_text("half of")
        raise RuntimeError("disk")
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_replacing_a_directory_makes_it_appear_whole(tmp_path):
    with files.replacing(tmp_path / "d") as temporary:
        temporary.mkdir()
        (temporary / "x").write_text("1")
        assert not (tmp_path / "d").exists()
    assert (tmp_path / "d" / "x").read_text() == "1"


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_torn_last_line_is_no_line(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes('{"step": 0, "t": "a\u2028b"}\n{"step": 1}\n{"ste'.encode())
    assert [json.loads(line)["step"] for line in files.complete_lines(path)] == [0, 1]
    assert [row["step"] for row in files.complete_rows(path)] == [0, 1]


@pytest.mark.parametrize("data", [b'{"step": 0}\n{"step\n', b'{"step": 0}\n[1]\n', b'{"step": 0}\n\xff\n'])
def test_a_line_that_is_no_row_is_named(tmp_path, data):
    (tmp_path / "m.jsonl").write_bytes(data)
    with pytest.raises(StoreError, match=r"m\.jsonl(, line 2)?: damaged"):
        files.complete_rows(tmp_path / "m.jsonl")


def test_no_newline_at_all_is_no_line(tmp_path):
    (tmp_path / "m").write_text('{"a"')
    assert files.complete_lines(tmp_path / "m") == []
