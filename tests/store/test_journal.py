import json

import pytest

from spurious.errors import LockedError, StoreError
from spurious.store.journal import Journal
from spurious.types import Completion, Group, Problem, Prompt

REQUEST = {"bench": "chain", "k": 2}


def prompt(name, copy=0):
    return Prompt(Problem(name, "q", "1", "s"), "q", (1, 2), copy)


def group(name, copy=0):
    return Group(prompt(name, copy), (Completion("a\u2028\ud800 b", (3, 4), (-0.1, -1e-17), "eos", (0.5,)),) * 2)


def test_what_was_kept_comes_back_exactly(tmp_path):
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        journal.add(group("x"))
        journal.add(group("x", copy=1))
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        assert journal.done([prompt("y"), prompt("x", 1), prompt("x")]) == [group("x", 1), group("x")]


def test_a_torn_line_is_forgotten_and_the_next_one_is_whole(tmp_path):
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        journal.add(group("x"))
    with (tmp_path / "j.jsonl").open("a") as file:
        file.write('{"problem_id": "y", "copy": 0, "compl')
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        journal.add(group("z"))
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        assert journal.done([prompt("x"), prompt("y"), prompt("z")]) == [group("x"), group("z")]


def test_another_request_is_refused(tmp_path):
    with Journal(tmp_path / "j.jsonl", REQUEST):
        pass
    with pytest.raises(StoreError, match="another request"):
        Journal(tmp_path / "j.jsonl", {**REQUEST, "k": 3})


def test_damage_is_named(tmp_path):
    (tmp_path / "j.jsonl").write_text('{"request": 1}\n{"problem\n')
    with pytest.raises(StoreError, match=r"j\.jsonl, line 2: damaged"):
        Journal(tmp_path / "j.jsonl", REQUEST)


def found(path):
    """The groups that a journal gives back, or the words with which it is refused."""
    try:
        with Journal(path, REQUEST) as journal:
            return journal.done([prompt("x")])
    except StoreError as error:
        return str(error)


def test_a_flipped_bit_is_no_other_answer(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, REQUEST) as journal:
        journal.add(group("x"))
    written = path.read_bytes()
    for place in range(0, len(written), 2):
        for bit in range(7):
            flipped = bytearray(written)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            result = found(path)
            assert result in ([], [group("x")]) or "j.jsonl" in result


def test_a_line_without_its_check_is_from_before_there_were_any(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal(path, REQUEST) as journal:
        journal.add(group("x"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "crc32"}) + "\n" for row in rows))
    with Journal(path, REQUEST) as journal:
        assert journal.done([prompt("x")]) == [group("x")]


def test_two_writers_are_refused(tmp_path):
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        journal.add(group("x"))
        with pytest.raises(LockedError, match=r"j\.jsonl: another process"):
            Journal(tmp_path / "j.jsonl", REQUEST)
    with Journal(tmp_path / "j.jsonl", REQUEST) as journal:
        assert journal.done([prompt("x")]) == [group("x")]
