"""Tables that several runs have in common."""

import threading
from pathlib import Path

import polars as pl

from spurious.store.shared import Shared

TABLE = pl.DataFrame({"text": ["a", "b"], "value": [0.5, None]})


class Maker:
    """Counts how often the table is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> pl.DataFrame:
        self.times += 1
        return TABLE


def test_is_made_once_for_what_it_is_made_from(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(2):
        assert Shared(tmp_path / "shared").table({"model": "x", "seed": 1}, make).equals(TABLE)
    assert make.times == 1
    Shared(tmp_path / "shared").table({"model": "x", "seed": 2}, make)
    assert make.times == 2


def test_keeps_nothing_without_a_folder(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(2):
        assert Shared(None).table({"model": "x"}, make).equals(TABLE)
    assert make.times == 2


def test_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    make = Maker()
    Shared(tmp_path).table({"model": "x"}, make)
    (rows,) = tmp_path.glob("*/rows.parquet")
    data = bytearray(rows.read_bytes())
    data[len(data) // 2] ^= 1
    rows.write_bytes(data)
    assert Shared(tmp_path).table({"model": "x"}, make).equals(TABLE)
    (seal,) = tmp_path.glob("*/sha256")
    seal.unlink()
    Shared(tmp_path).table({"model": "x"}, make)
    Shared(tmp_path).table({"model": "x"}, make)
    assert make.times == 3


def test_who_comes_second_waits(tmp_path: Path) -> None:
    make, begun, go_on = Maker(), threading.Event(), threading.Event()

    def slowly() -> pl.DataFrame:
        begun.set()
        assert go_on.wait(60)
        return make()

    found: list[pl.DataFrame] = []
    first = threading.Thread(target=lambda: found.append(Shared(tmp_path).table({}, slowly)))
    second = threading.Thread(target=lambda: found.append(Shared(tmp_path).table({}, make)))
    first.start()
    assert begun.wait(60)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    go_on.set()
    first.join(60)
    second.join(60)
    assert make.times == 1
    assert all(table.equals(TABLE) for table in found)
    assert len(found) == 2
