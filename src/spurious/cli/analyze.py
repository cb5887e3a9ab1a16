"""`spurious analyze`: what the completions of any trainer do, step by step."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from spurious.cli.words import columns, percent
from spurious.terminal import say

if TYPE_CHECKING:
    import polars as pl

    from spurious.engines import Rollouts
    from spurious.report import Analysis

Format = Literal["auto", "own", "trl", "verl", "openrlhf", "lm-eval", "jsonl"]

SHOWN = {
    "accuracy": "accuracy",
    "strict_accuracy": "strict",
    "code": "code",
    "accuracy_with_code": "with code",
    "accuracy_without_code": "without",
    "code_given_correct": "code|correct",
    "code_given_wrong": "code|wrong",
}
"""The shares of the strategy table that a terminal shows, and their short names; all are in percent."""


def analyze(
    rollouts: tuple[Path, ...],
    /,
    *,
    format: Format = "auto",
    column: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Tabulate strategy, behaviors, lengths, grades, rewards and credit of rollouts, one row a step.

    Of a study's folder (STORE/studies/NAME) it gives the analyses of its runs instead, over the seeds of every arm.

    Args:
        rollouts: Files or folders: run directories of ours, TRL's completions, verl's and OpenRLHF's JSONL, lm-eval's
            sample logs, or any JSONL, JSON or parquet file with one row a completion. Each is tabulated on its own.
            Or folders of studies.
        format: The tool that wrote them; auto looks at the columns. jsonl: rows of any other origin.
        column: Which column holds what, as FIELD=NAME; repeat for more: --column answer=doc.solution.
        json_: Print one JSON document with every table, and nothing else.
    """
    from spurious.analysis.tables import TABLES
    from spurious.engines import column_mapping, read_each
    from spurious.progress import on_terminal

    mapping = column_mapping(column)
    kind = None if format == "auto" else format
    studies = {path: _study(path) for path in rollouts if (path / "cells.json").exists()}
    shown = _document if json_ else _page
    sources: list[Any] = []
    for path in rollouts:
        if path not in studies:
            with on_terminal() as progress:
                for source in read_each(path, format=kind, columns=mapping, progress=progress):
                    sources.append(shown(source, {name: table(source.rows) for name, table in TABLES.items()}))
    if json_:
        document: dict[str, Any] = {"sources": sources}
        if studies:
            document["studies"] = [_study_document(path, found) for path, found in studies.items()]
        say(json.dumps(document, indent=2))
    else:
        pages = [_study_page(path, found) for path, found in studies.items()]
        say("\n\n".join([*pages, *sources]))


def _study(path: Path) -> "dict[str, Analysis]":
    from spurious.cli.report import material
    from spurious.report import analyses

    shown, _ = material(path, path.parent.parent)
    return analyses(shown)


def _study_document(path: Path, found: "dict[str, Analysis]") -> dict[str, Any]:
    return {
        "source": str(path),
        "analyses": {
            name: {"means": one.means.to_dicts(), "seeds": one.seeds.to_dicts()} for name, one in found.items()
        },
    }


def _study_page(path: Path, found: "dict[str, Analysis]") -> str:
    head = f"{path}: analyses over seeds, with 95 % intervals"
    return "\n\n".join([head if found else f"{path}: no run is done yet", *(_means(*item) for item in found.items())])


def _means(name: str, analysis: "Analysis") -> str:
    return columns(
        {
            name: row["quantity"],
            "model": row["model"],
            "arm": row["arm"],
            "mean": _number(row["mean"]),
            "low": _number(row["low_95"]),
            "high": _number(row["high_95"]),
            "seeds": f"{row['seeds']} of {row['of']}",
        }
        for row in analysis.means.iter_rows(named=True)
    )


def _document(source: "Rollouts", tables: "dict[str, pl.DataFrame]") -> dict[str, Any]:
    return {**facts(source), "tables": {name: table.to_dicts() for name, table in tables.items()}}


def facts(source: "Rollouts") -> dict[str, Any]:
    """Where rows came from and how many there are, for JSON documents."""
    return {
        "source": source.source,
        "format": source.format,
        "files": source.files,
        "rows": source.rows.height,
        "repeated_rows_dropped": source.repeated,
        "graded": source.rows["grade"].count(),
    }


def _page(source: "Rollouts", tables: "dict[str, pl.DataFrame]") -> str:
    dropped = f", {source.repeated} repeated rows left out" if source.repeated else ""
    head = f"{source.source} ({source.format}): {source.rows.height} completions{dropped}"
    if not source.rows["grade"].count():
        head += "\nNo true answers here, so nothing is graded; --column answer=NAME says where they are."
    return "\n\n".join(
        [head, _strategy(tables["strategy"]), *(_plain(tables, name) for name in tables if name != "strategy")]
    )


def _strategy(table: "pl.DataFrame") -> str:
    lines = []
    for row in table.iter_rows(named=True):
        shares = {short: percent(row[name]) for name, short in SHOWN.items()}
        shares["accuracy"] += f" ±{percent(row['accuracy_se'])}" if row["accuracy_se"] is not None else ""
        lines.append({"strategy, %": _step(row["step"]), **shares, "n": str(row["n"])})
    return columns(lines)


def _plain(tables: "dict[str, pl.DataFrame]", name: str) -> str:
    return columns(
        {name: _step(row.pop("step"))} | {column: _number(value) for column, value in row.items()}
        for row in tables[name].drop("n").iter_rows(named=True)
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _step(step: int | None) -> str:
    return "all" if step is None else f"step {step}"
