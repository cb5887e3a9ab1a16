"""Where the numbers come from: the grid of runs, what they really did between reward and weight, and their machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from spurious.report.material import Cell, Material

MARKS = {"done": "✓", "running": "▶", "failed": "✕", "owed": "○"}
"""A sign for every state, beside its color."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One arm on one model, its cells by seed; None where the grid has no such cell."""

    model: str
    arm: str
    role: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Operators:
    """What happens between a reward and a weight: in all arms, and where one arm differs."""

    common: tuple[str, ...]
    by_arm: Mapping[str, tuple[str, ...]]
    """Only the arms that have lines of their own."""


def grid(material: Material) -> list[GridRow]:
    """The cells of the study as rows of a table, a column a seed."""
    found = {(cell.model, cell.arm, cell.seed): cell for cell in material.cells}
    return [
        GridRow(model, arm, material.role(arm), tuple(found.get((model, arm, seed)) for seed in material.seeds))
        for model in material.models
        for arm in material.arms
    ]


def counts(material: Material) -> dict[str, int]:
    """Cells by state, those that occur."""
    states = [cell.state for cell in material.cells]
    return {state: states.count(state) for state in MARKS if state in states}


def operators(material: Material) -> Operators:
    """The effective operators as the manifests record them."""
    by_arm: dict[str, dict[str, None]] = {}
    for cell in material.cells:
        lines = material.manifests.get(cell.run, {}).get("operators", ())
        by_arm.setdefault(cell.arm, {}).update(dict.fromkeys(lines))
    started = {arm: tuple(lines) for arm, lines in by_arm.items() if lines}
    first = next(iter(started.values()), ())
    common = tuple(line for line in first if all(line in lines for lines in started.values()))
    own = {arm: tuple(line for line in lines if line not in common) for arm, lines in started.items()}
    return Operators(common, {arm: lines for arm, lines in own.items() if lines})


def arm_facts(material: Material) -> list[dict[str, str]]:
    """What every arm pays for and is told, from its first manifest; arms that have not started are named too."""
    rows = []
    for arm in material.arms:
        manifest = next((m for c in material.cells if c.arm == arm and (m := material.manifests.get(c.run))), None)
        row = {"arm": arm, "role": material.role(arm), "reward": "not started", "label": "", "data": "", "source": ""}
        if manifest is not None:
            spec = manifest["spec"]
            row["reward"] = _named(spec["reward"])
            row["label"] = _named(spec["label"])
            labels = manifest.get("labels", {})
            row["data"] = (
                f"{spec['task']['name']}, {labels.get('kept')} of {labels.get('of')} problems" if labels else ""
            )
            row["source"] = manifest.get("reward_source") or ""
        rows.append(row)
    return rows


def environments(material: Material) -> list[tuple[str, str]]:
    """Versions, commit and hardware: every fact with the values that occur, most common first."""
    seen: dict[str, list[str]] = {}
    for manifest in material.manifests.values():
        for name, value in _flat(manifest.get("environment", {})).items():
            seen.setdefault(name, []).append(value)
    return [
        (name, " | ".join(sorted(set(values), key=lambda one: (-values.count(one), one))))
        for name, values in seen.items()
    ]


def _named(spec: Mapping[str, Any]) -> str:
    """A reward or label in short; of a table of votes, its name and not where it lies."""
    inside = [_named(part) for part in spec.get("of", ())]
    inside += [f"{name}={PurePath(value).name if name == 'votes' else value}" for name, value in spec["args"].items()]
    return f"{spec['name']}({', '.join(inside)})" if inside else str(spec["name"])


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: str(value)}
    return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{prefix} {name}".strip()).items()}
