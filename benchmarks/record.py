"""What a benchmark measured: printed, and with `--write` kept under docs/performance/ and shown on the page.

A record says on what machine, with what and how it was measured, so that nothing of that has to be believed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spurious.report.marked import filled, table
from spurious.store.environment import environment

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FOLDER = DOCS / "performance.md", DOCS / "performance"
PEERS = ("trl", "math-verify", "vllm")
"""Packages that ours is measured against, beside those of every manifest."""

Row = dict[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of like columns under a title; a value may be a `side_by_side.Ratio`."""

    title: str
    rows: Sequence[Row]


def command_line(doc: str | None, **defaults: int) -> argparse.ArgumentParser:
    """The options of a benchmark: `--write`, and a whole number for each of `defaults`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the record and show it in docs/performance.md")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"by default {value}")
    return parser


def publish(
    name: str,
    tables: Sequence[Table],
    arguments: argparse.Namespace,
    *,
    notes: Sequence[str] = (),
    picture: str | None = None,
    **facts: Any,
) -> None:
    """Print tables for people and one JSON line for programs, and keep them if the command says so.

    Args:
        name: of the benchmark.
        tables: what was measured.
        arguments: of the command; all numbers among them are conditions of the measurement.
        notes: sentences below the tables.
        picture: an SVG of it.
        facts: of the machine beyond what every record says, such as a GPU.
    """
    record = json.loads(
        json.dumps(
            {
                "benchmark": name,
                "date": datetime.now(UTC).date().isoformat(),
                "machine": {**_machine(), **facts},
                "conditions": {key: value for key, value in vars(arguments).items() if type(value) in (int, float)},
                "tables": [asdict(one) for one in tables],
                "notes": list(notes),
                "picture": f"{name}.svg" if picture else None,
            },
            default=_plain,
        )
    )
    for one in record["tables"]:
        print(_aligned(one))
    for note in notes:
        print(note)
    print(json.dumps(record))
    if arguments.write:
        keep(name, record, picture)


def keep(name: str, record: Record, picture: str | None) -> None:
    """Write a record, its picture, and the page."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if picture:
        (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {FOLDER / name}.json, {PAGE}", file=sys.stderr)


def page() -> str:
    """The page with every table as its record has it."""
    return filled(PAGE, "measured", shown)


def shown(name: str) -> str:
    """A record in Markdown."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return f"Not measured yet: `make bench BENCH={name}`."
    record = json.loads(path.read_text(encoding="utf-8"))
    parts = [_facts(record)]
    for one in record["tables"]:
        heads, rows = _cells(one["rows"])
        parts += [f"**{one['title']}**", table(heads, rows)]
    parts += record["notes"]
    if record["picture"]:
        parts.append(f"![{name}](performance/{record['picture']})")
    return "\n\n".join(parts)


def _machine() -> Row:
    found = environment()
    peers = {name: _version(name) for name in PEERS}
    return {
        "processor": found["processor"],
        "cores": found["cores"],
        "versions": {**found["versions"], **{name: is_at for name, is_at in peers.items() if is_at}},
        "commit": found["commit"],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _facts(record: Record) -> str:
    machine = record["machine"]
    names = ("torch", "transformers", *(name for name in PEERS if name in machine["versions"]))
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in names)
    conditions = "".join(f", {value} {name.replace('_', ' ')}" for name, value in record["conditions"].items())
    device = f", {machine['gpu']}" if machine.get("gpu") else ""
    where = f"{machine['cores']} cores of {machine['processor']}{device}"
    return f"{record['date']}: {where}; {versions}{conditions}. [Record](performance/{record['benchmark']}.json)."


def _cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    heads = list(dict.fromkeys(name for row in rows for name in row))
    return heads, [[_cell(row.get(name)) for name in heads] for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "–" if value is None else str(value)


def _aligned(one: Row) -> str:
    heads, rows = _cells(one["rows"])
    lines = [heads, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    aligned = (
        "  ".join(
            text.rjust(width) if i else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return "\n".join([one["title"], *aligned])


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a record holds no {type(value).__name__}")
