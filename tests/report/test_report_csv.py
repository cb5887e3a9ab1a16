"""CSV: what a spreadsheet would run gets an apostrophe, and a number stays a number."""

import csv as csv_files
import io

import polars as pl
import pytest

from spurious.report.figure import csv


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(start):
    formula = f'{start}HYPERLINK("http://evil.example","a")'
    rows = list(csv_files.reader(io.StringIO(csv(pl.DataFrame({formula: [formula], "plain": ["a=b"]})), newline="")))
    assert rows == [[f"'{formula}", "plain"], [f"'{formula}", "a=b"]]


def test_numbers_stay_numbers():
    table = pl.DataFrame({"effect": [-0.5, 2.0, None], "count": [-3, 0, 4], "name": ["-3", "a,b", 'c"d']})
    assert pl.read_csv(io.StringIO(csv(table))).rows() == [(-0.5, -3, "'-3"), (2.0, 0, "a,b"), (None, 4, 'c"d')]
