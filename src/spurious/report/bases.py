"""What each arm started from: the untrained model, asked as the arm asks it."""

from collections.abc import Iterator

import polars as pl

from spurious.report.material import Material
from spurious.specs import BenchSpec

BASE = "base"
"""How the model before training is called; its rows are those of step 0."""


def bases(material: Material) -> dict[str, str]:
    """Arm -> the name of its base: one for all, unless arms ask their problems with templates of their own."""
    templates = {arm: _template(material, arm) for arm in material.arms}
    usual = next((name for name in templates.values() if name), "")
    return {arm: BASE if name in ("", usual) else f"{BASE}, {name}" for arm, name in templates.items()}


def starts(material: Material, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every base with its rows of step 0, which each of its arms brings."""
    named = bases(material)
    for base in dict.fromkeys(named.values()):
        arms = [arm for arm, name in named.items() if name == base]
        yield base, rows.filter(pl.col("step") == 0, pl.col("arm").is_in(arms))


def _template(material: Material, arm: str) -> str:
    """The template of the primary benchmark in the arm's runs; empty where none has begun."""
    outcome = material.declared.outcome
    for cell in material.cells:
        if cell.arm == arm and cell.run in material.manifests and outcome is not None:
            benches = map(BenchSpec.model_validate, material.manifests[cell.run]["spec"]["benches"])
            return next((bench.task.template for bench in benches if bench.slug == outcome.bench), "")
    return ""
