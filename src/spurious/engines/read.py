"""Rollouts of any trainer in, our completion rows out: found, recognized, converted, graded, measured."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from spurious.behaviors import measure
from spurious.engines.files import Row, checked_rows, column_names, list_files
from spurious.engines.formats import lm_eval, openrlhf, own, plain, trl, verl
from spurious.engines.record import FIELDS, Columns, Fields, Place, pick, require
from spurious.errors import DataError, InputError, StoreError
from spurious.progress import Progress, quiet
from spurious.store import load
from spurious.store.tables import BEHAVIOR, COMPLETION_COLUMNS, ROLLOUT_COLUMNS, frame
from spurious.tasks.base import content_id
from spurious.verify import verify_many

FormatName = Literal["own", "trl", "verl", "openrlhf", "lm-eval", "jsonl"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
"""`jsonl` is any JSON, JSONL or parquet file with one row a completion."""

_RECOGNIZED: Mapping[FormatName, Callable[[Collection[str]], bool]] = {
    "own": own.recognizes,
    "trl": trl.recognizes,
    "lm-eval": lm_eval.recognizes,
    "verl": verl.recognizes,
    "openrlhf": openrlhf.recognizes,
}
_COLUMNS: Mapping[FormatName, Columns] = {
    "verl": verl.COLUMNS,
    "openrlhf": openrlhf.COLUMNS,
    "lm-eval": lm_eval.COLUMNS,
    "jsonl": plain.COLUMNS,
}
_SCHEMA = {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS, "seed": pl.Int64(), "model": pl.String()}


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    """The completions of one run, or of one file."""

    source: str
    """The path they came from."""
    format: FormatName
    files: int
    repeated: int
    """Rows that only repeat others (TRL's log of one batch at several steps, lm-eval's filters) and were left out."""
    rows: pl.DataFrame
    """The columns of `spurious.store.tables`, `seed`, `model` and the behaviors; null where the file does not say."""


def column_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """Read `FIELD=NAME` pairs.

    Raises:
        InputError: a pair has no '=', or the field is none of `FIELDS`.
    """
    mapping = {}
    for pair in pairs:
        field, equals, name = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--column {pair}: write FIELD=NAME, such as answer=solution")
        if field not in FIELDS:
            raise InputError(f"--column {pair}: {field!r} is no field; there are {', '.join(FIELDS)}")
        mapping[field] = name
    return mapping


def read(
    path: Path,
    *,
    format: FormatName | None = None,
    columns: Mapping[str, str] | None = None,
    progress: Progress = quiet,
) -> tuple[Rollouts, ...]:
    """The rollouts at a path: of one run or file, or of every run directory of ours at or below it; see `read_each`."""
    return tuple(read_each(path, format=format, columns=columns, progress=progress))


def read_each(
    path: Path,
    *,
    format: FormatName | None = None,
    columns: Mapping[str, str] | None = None,
    progress: Progress = quiet,
) -> Iterator[Rollouts]:
    """The rollouts at a path one run after the other, as all runs of a store may not fit into memory together.

    Args:
        path: a row file, a folder of row files, a run directory of ours or a folder of such.
        format: the tool that wrote it; None: recognized by the columns of the first row of each file.
        columns: field to column, beside or instead of the format's own; `doc.answer` reaches into an object.
        progress: told of every run read, or of every thousand completions measured.

    Raises:
        DataError: a file is missing, too large, broken or of no known shape; the message names file and row.
        InputError: `columns` names a column that a file lacks, or is given for tables of ours.
    """
    mapping = dict(columns or {})
    if path.is_dir() and format in (None, "own"):
        found = False
        for run in _runs(path, progress):
            if not found:
                _refuse_mapping(mapping, path)
            found = True
            yield run
        if found:
            return
        if format == "own":
            raise DataError(f"{path}: no run directory of ours at or below it that holds rollouts")
    files = list_files(path)
    known = format or _recognize(files[0], mapping)
    if known == "own":
        _refuse_mapping(mapping, path)
        tables = [own.read_table(file) for file in files]
        yield Rollouts(str(path), "own", len(files), 0, pl.concat(tables, how="diagonal"))
        return
    completions: list[Fields] = []
    repeated = 0
    before: list[Row] = []
    for file in files:
        rows = checked_rows(file)
        if format is None and _recognize(file, mapping) != known:
            raise DataError(f"{file}: not of the same format as {files[0].name} ({known}); read them apart")
        kept = _without_repeats(rows, before, known)
        repeated += len(rows) - len(kept)
        before = rows
        completions += _fields(kept, file, known, mapping)
    yield Rollouts(str(path), known, len(files), repeated, _table(completions, progress))


def _runs(path: Path, progress: Progress) -> Iterator[Rollouts]:
    try:
        directories = load(path).directories
    except StoreError:
        return
    for done, directory in enumerate(directories, start=1):
        table = load(directory).rollouts
        if not table.is_empty():
            whole = own.complete(table, str(directory))
            yield Rollouts(str(directory), "own", whole["step"].n_unique(), 0, whole)
        progress("read", done, len(directories), "")


def _refuse_mapping(mapping: Mapping[str, str], path: Path) -> None:
    if mapping:
        raise InputError(f"--column: {path} holds tables of ours, whose columns are known; read other files apart")


def _recognize(file: Path, mapping: Mapping[str, str]) -> FormatName:
    """The format by its columns; rows of no tool are plain where a column could be a completion."""
    names = column_names(file)
    for name, recognizes in _RECOGNIZED.items():
        if recognizes(names):
            return name
    if "text" in mapping or any(name in names for name in plain.COLUMNS["text"]):
        return "jsonl"
    raise DataError(
        f"{file}: of no known format; name the completions' column with --column text=NAME (it has {', '.join(names)})"
    )


def _without_repeats(rows: Sequence[Row], before: Sequence[Row], format: FormatName) -> Sequence[Row]:
    if format == "trl" and trl.repeats(before, rows):
        return []
    return lm_eval.first_filter(rows) if format == "lm-eval" else rows


def _fields(rows: Sequence[Row], file: Path, format: FormatName, mapping: Mapping[str, str]) -> list[Fields]:
    """What every completion of a file says, in our words."""
    found: list[Fields] = []
    columns: dict[str, Sequence[str]] = {}
    for number, row in rows:
        place = Place(str(file), number)
        if not columns:
            require(mapping, row, place)
            usual = trl.columns(rows) if format == "trl" else _COLUMNS[format]
            columns = {**usual, **{field: (name,) for field, name in mapping.items()}}
        if format == "lm-eval":
            found += [pick(one, columns, place) for one in lm_eval.unfold(row, place, file.name)]
        else:
            whole = openrlhf.completed(row, place) if format == "openrlhf" else row
            found.append(pick(whole, columns, place))
    return found


def _table(completions: Sequence[Fields], progress: Progress) -> pl.DataFrame:
    """Completion rows: identified, graded where the truth is known, and their behaviors measured."""
    _identify(completions)
    _grade(completions)
    for done, row in enumerate(completions, start=1):
        row |= {BEHAVIOR + name: float(value) for name, value in measure(row["text"]).items()}
        if done % 1000 == 0 or done == len(completions):
            progress("measure", done, len(completions), "")
    return frame(completions, _SCHEMA)


def _identify(completions: Sequence[Fields]) -> None:
    """Give every row the id of its problem, made of what is asked and the answer, and number a problem's samples."""
    seen: Counter[tuple[object, ...]] = Counter()
    for row in completions:
        asked = row.get("question") if row.get("question") is not None else row.get("prompt")
        if row.get("problem_id") is None and asked is not None:
            row["problem_id"] = content_id(asked, row.get("answer") or "")
        if row.get("sample") is None and row.get("problem_id") is not None:
            place = tuple(row.get(name) for name in ("model", "seed", "step", "problem_id"))
            row["sample"] = seen[place]
            seen[place] += 1


def _grade(completions: Sequence[Fields]) -> None:
    for row in completions:
        if row.get("correct") is not None:
            row["grade"] = "correct" if row["correct"] else "wrong"
    asked = [row for row in completions if row.get("answer") and row.get("correct") is None]
    pairs = [(row["text"], row["answer"]) for row in asked]
    lenient, strict = verify_many(pairs), verify_many(pairs, extraction="strict")
    for row, grade, box in zip(asked, lenient, strict, strict=True):
        row |= {"grade": grade.status, "extracted": grade.extracted, "strict_grade": box.status}
