"""One number a run, over seeds."""

from math import atanh, sqrt, tanh

import polars as pl
import pytest

from spurious.analysis.seeds import LONG, OverSeeds, long, over_seeds, summary


def test_mean_and_interval_by_hand():
    found = over_seeds([0.1, None, 0.3, 0.2])
    half = 4.302653 * 0.1 / sqrt(3)  # t of two degrees of freedom, sd 0.1
    assert (found.mean, found.seeds, found.of) == (pytest.approx(0.2), 3, 4)
    assert (found.low_95, found.high_95) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


def test_what_is_undefined_stays_so():
    assert over_seeds([None, None]) == OverSeeds(None, None, None, 0, 2)
    assert over_seeds([0.4]) == OverSeeds(0.4, None, None, 1, 1)
    assert over_seeds([0.5, 0.5, 0.5]) == OverSeeds(0.5, None, None, 3, 3)  # no interval of width zero


def test_correlations_are_averaged_as_z():
    found = over_seeds([0.2, 0.8], correlation=True)
    z = (atanh(0.2), atanh(0.8))
    half = 12.706205 * (z[1] - z[0]) / 2
    assert found.mean == pytest.approx(tanh(sum(z) / 2))
    assert (found.low_95, found.high_95) == (
        pytest.approx(tanh(sum(z) / 2 - half)),
        pytest.approx(tanh(sum(z) / 2 + half)),
    )
    assert -1 < found.low_95 < found.high_95 < 1
    assert over_seeds([1.0, 1.0, 0.999], correlation=True).mean < 1


def test_a_long_table_over_its_seeds():
    rows = [("a", 0, 1.0), ("a", 1, 3.0), ("b", 0, None)]
    table = long({"model": "m", "arm": arm, "seed": seed, "quantity": "q", "value": value} for arm, seed, value in rows)
    first, second = summary(table).to_dicts()
    assert (first["arm"], first["quantity"], first["mean"], first["seeds"], first["of"]) == ("a", "q", 2.0, 2, 2)
    assert second == {
        "model": "m", "arm": "b", "quantity": "q", "mean": None, "low_95": None, "high_95": None, "seeds": 0, "of": 1
    }  # fmt: skip
    assert summary(long([])).is_empty()
    assert long([]).schema == pl.Schema(LONG)
