"""Problems from a local JSON, JSONL or parquet file, row by row, with a column mapping."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.errors import DataError, SpecError
from spurious.tasks.base import Task, make_problem
from spurious.types import Problem
from spurious.untrusted import check_bytes, read_parquet

SUFFIXES = (".json", ".jsonl", ".parquet")

MAX_TEXT = 1_000_000
"""Characters of one question or answer."""

QUESTION_COLUMNS = ("question", "problem", "prompt", "query", "instruction")
ANSWER_COLUMNS = ("answer", "gold", "final_answer", "target", "ground_truth", "solution")
"""Tried in this order where a column is not named: a `solution` is a last resort, since it often holds a derivation."""
KIND_COLUMNS = ("kind", "subject", "category", "type", "level")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what; None means the first of the usual names that the first row has."""

    question: str | None = None
    answer: str | None = None
    kind: str | None = None


def read_problems(path: Path, source: str, columns: Columns, kind: str = "") -> list[Problem]:
    """The rows of a file as problems, in order, not yet checked; `metadata` holds `file` and `row` (from 1).

    Raises DataError for a file that is missing or broken (names the line), a missing column (names those present) and a
    cell that is neither text nor a number.
    """
    return problems_of(read_rows(path), path.name, source, columns, kind)


def problems_of(
    rows: Iterable[tuple[int, Mapping[str, Any]]], file: str, source: str, columns: Columns, kind: str = ""
) -> list[Problem]:
    """Numbered rows as problems; `kind` where no column gives one."""
    problems: list[Problem] = []
    for number, row in rows:
        if not problems:
            columns = _settle(columns, row, file)
        question = _text(row, columns.question, file, number)
        answer = _text(row, columns.answer, file, number)
        label = _text(row, columns.kind, file, number) if columns.kind else kind
        problems.append(make_problem(question, answer, source, label, file=file, row=number))
    if not problems:
        raise DataError(f"{file}: no rows")
    return problems


def _settle(columns: Columns, row: Mapping[str, Any], file: str) -> Columns:
    """Name every column after the first row."""
    return Columns(
        columns.question or _first(QUESTION_COLUMNS, row, "question", file),
        columns.answer or _first(ANSWER_COLUMNS, row, "answer", file),
        columns.kind or next((name for name in KIND_COLUMNS if name in row), None),
    )


def _first(names: tuple[str, ...], row: Mapping[str, Any], field: str, file: str) -> str:
    for name in names:
        if name in row:
            return name
    raise DataError(
        f"{file}: no column for the {field}: none of {', '.join(names)} is there, only {', '.join(row)}; "
        f"name it with args: {{{field}: COLUMN}}"
    )


def _text(row: Mapping[str, Any], column: str | None, file: str, number: int) -> str:
    """A cell as text; null is the empty text, numbers are written as Python does (142.0 stays '142.0')."""
    if column is None or column not in row:
        raise DataError(f"{file}, row {number}: no column {column!r}; it has {', '.join(row)}")
    value = row[column]
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(
            f"{file}, row {number}, column {column!r}: a {type(value).__name__} is neither text nor a number"
        )
    text = str(value)
    if len(text) > MAX_TEXT:
        raise DataError(
            f"{file}, row {number}, column {column!r}: {len(text):,} characters; at most {MAX_TEXT:,} are read"
        )
    return text


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(row number from 1, row) of a JSON list, a JSONL file or a parquet file."""
    if path.suffix not in SUFFIXES:
        raise SpecError(f"{path}: a problem file ends in {', '.join(SUFFIXES)}")
    check_bytes(path)
    read = {".json": _json_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}[path.suffix]
    for number, row in enumerate(read(path), start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{path}, row {number}: a row is an object with columns, not a {type(row).__name__}")
        yield number, row


def _json_rows(path: Path) -> Iterator[Any]:
    rows = _parse(path, _utf8(path), 1)
    if not isinstance(rows, list):
        raise DataError(f"{path}: a JSON problem file holds a list of objects, not a {type(rows).__name__}")
    yield from rows


def _jsonl_rows(path: Path) -> Iterator[Any]:
    for line, text in enumerate(_utf8(path).split("\n"), start=1):
        if text.strip():
            yield _parse(path, text, line)


def _parquet_rows(path: Path) -> Iterator[Any]:
    yield from read_parquet(path).iter_rows(named=True)


def _utf8(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _parse(path: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}, line {line}, column {error.colno}: broken JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, brackets nested as deep
        raise DataError(f"{path}, line {first_line}: unusable JSON: {error}") from error


def fingerprint(path: Path) -> dict[str, str]:
    """A file's name and sha256, for the manifest."""
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def build_file(path: Path, *, question: str | None = None, answer: str | None = None, kind: str | None = None) -> Task:
    """A local JSON, JSONL or parquet file as a task; the arguments name columns where the usual names do not hold."""
    problems = read_problems(path, path.stem, Columns(question, answer, kind))
    return Task(path.stem, tuple(problems), source={"files": [fingerprint(path)]})
