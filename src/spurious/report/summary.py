"""A study's results as one JSON document: every level and declared comparison, every run, and what is missing.

The same runs give the same bytes: keys are sorted, numbers have `DIGITS` significant digits, and nothing says when it
was written.
"""

import json
from typing import Any

from spurious.analysis import sign_of
from spurious.report.answer import Answer, Effect, Level
from spurious.report.material import Cell, Material
from spurious.report.tables import Results

DIGITS = 6
"""Significant digits of every number that is written."""

WIDTH = 150
"""A list or mapping that fits into a line of so many characters stands on one line."""


def found(results: Results) -> dict[str, Any]:
    """What the runs say: `levels`, `comparisons`, `benches`, `runs`, `seeds_found` and `missing`."""
    material, answered = results.material, results.answer
    return {
        "levels": [_level(one) for one in answered.levels] if answered else [],
        "comparisons": [_comparison(one, answered) for one in answered.effects] if answered else [],
        "benches": [one.row() for one in results.asked],
        "runs": [_run(cell) for cell in material.cells],
        "seeds_found": sorted({cell.seed for cell in material.cells if cell.state == "done"}),
        "missing": missing(material, answered),
    }


def missing(material: Material, answered: Answer | None) -> list[str]:
    """In sentences: runs that are not done and why, and comparisons that lack them."""
    undone = [
        f"{cell.arm} on {cell.model}, seed {cell.seed}: {cell.state}{f' ({cell.error})' if cell.error else ''}"
        for cell in material.cells
        if cell.state != "done"
    ]
    if answered is None and material.cells:
        undone.append("no run was evaluated on the declared outcome")
    return undone + list(answered.gaps if answered else ())


def document(value: Any) -> str:
    """JSON text: keys sorted, short containers on one line, numbers rounded.

    Raises:
        ValueError: a number is not finite.
    """
    return _written(rounded(value), "") + "\n"


def rounded(value: Any) -> Any:
    """The value with every float cut to `DIGITS` significant digits; -0.0 is 0.0."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") + 0.0
    if isinstance(value, dict):
        return {str(name): rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _written(value: Any, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    if not value or not isinstance(value, list | dict) or len(indent) + len(line) <= WIDTH:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        parts, ends = [_written(one, inner) for one in value], "[]"
    else:
        named = sorted(value.items())
        parts, ends = [f"{json.dumps(name, ensure_ascii=False)}: {_written(one, inner)}" for name, one in named], "{}"
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{ends[1]}"


def _level(level: Level) -> dict[str, Any]:
    estimate = level.estimate
    return {
        "model": level.model,
        "arm": level.arm,
        "mean": level.mean,
        "interval": list(estimate.interval()) if estimate else None,
        "interval_over": estimate.basis if estimate else None,
        "by_seed": dict(level.by_seed),
        "problems": len(level.outcomes.problems),
    }


def _comparison(one: Effect, answered: Answer) -> dict[str, Any]:
    c = one.comparison
    equivalence = c.equivalence
    return {
        "arm": one.treatment,
        "against": one.placebo,
        "model": one.model,
        "unit": answered.unit.change,
        "base": one.base.mean if one.base else None,
        "levels": {one.treatment: c.treatment, one.placebo: c.placebo},
        "effect": c.difference,
        "interval": list(c.interval) if c.interval else None,
        "interval_over": c.basis,
        "bootstrap": list(c.bootstrap) if c.bootstrap else None,
        "p": c.p,
        "p_holm": one.p,
        "p_flip": c.p_flip_seeds,
        "median": c.median,
        "median_interval": list(c.median_interval) if c.median_interval else None,
        "signs": {"up": c.signs.up, "down": c.signs.down, "equal": c.signs.equal, "p": c.signs.p},
        "by_seed": dict(c.by_seed),
        "detectable": c.detectable,
        "equivalence": None
        if equivalence is None
        else {"margin": equivalence.margin, "interval": list(equivalence.interval), "p": equivalence.p},
        "verdict": sign_of(c, one.p),
        "problems": c.n_problems,
    }


def _run(cell: Cell) -> dict[str, Any]:
    return {"arm": cell.arm, "model": cell.model, "seed": cell.seed, "run": cell.run or None, "state": cell.state}
