"""A study's results as small files that a repository keeps.

<out>/<study>/summary.json     what was declared, when, and what came of it; every run
<out>/<study>/<table>.csv      the tables of `spurious.report.tables`
<out>/<study>/<figure>.svg     the main figures
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import join
from typing import Any

import polars as pl

from spurious.errors import InputError
from spurious.organisms.recipe import load_recipe
from spurious.report import Material
from spurious.report.figure import csv
from spurious.report.main_figures import main_figures
from spurious.report.provenance import environments
from spurious.report.static import export
from spurious.report.summary import DIGITS, document, found
from spurious.report.tables import TABLES, Results
from spurious.store.files import remove, write_text
from spurious.study.history import committed, recorded
from spurious.study.record import folder
from spurious.study.shown import material_of
from spurious.study.spec import StudySpec
from spurious.study.study import Study, open_study

SUMMARY = "summary.json"

FORMAT = 1
"""Of the summary; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_results` left in a folder."""

    summary: Path
    files: tuple[Path, ...]
    """Tables and figures."""
    missing: tuple[str, ...]
    """Runs and comparisons that are not in the results."""
    not_drawn: str
    """Why there are no figures; empty where there are."""


def write_results(
    file: Path, store: Path, out: Path, *, profile: str | None = None, data_dir: Path | None = None
) -> Written:
    """Write the results of a study into `<out>/<its name>`, in place of earlier ones.

    The same runs give the same bytes; figures, where browser and fonts are the same too. Without a browser there are
    tables and no figures.

    Raises:
        InputError: the study's file is wrong.
    """
    study = open_study(file, store, profile=profile, data_dir=data_dir)
    home = folder(store, study.spec.name)
    results = Results(material_of(study, file, home))
    target = out / study.spec.name
    target.mkdir(parents=True, exist_ok=True)
    for old in (*target.glob("*.csv"), *target.glob("*.svg")):
        remove(old)
    tables = list(_write_tables(results, target))
    figures, not_drawn = _draw(results, target)
    summary = {
        **found(results),
        **_declared(study, file, home, profile, results.material),
        "format": FORMAT,
        "digits": DIGITS,
        "commands": commands(file, profile),
        "environment": {name: values for name, values in environments(results.material) if name != "platform"},
        "tables": sorted(path.name for path in tables),
        "figures": sorted(path.name for path in figures),
    }
    write_text(target / SUMMARY, document(summary))
    return Written(target / SUMMARY, (*tables, *figures), tuple(summary["missing"]), not_drawn)


def commands(file: Path, profile: str | None) -> list[str]:
    """What regenerates the results from a clean clone, in its root."""
    chosen = ["--profile", profile] if profile else []
    return [join(["spurious", "study", verb, file.as_posix(), *chosen]) for verb in ("run", "results")]


def spec_fields(study: StudySpec) -> dict[str, Any]:
    """What decides a study's results, and what was declared about them; defaults are left out."""
    return study.model_dump(mode="json", exclude_defaults=True, exclude={"profiles", "name"})


def _declared(study: Study, file: Path, home: Path, profile: str | None, material: Material) -> dict[str, Any]:
    spec = study.spec
    return {
        "study": spec.name,
        "file": file.as_posix(),
        "profile": profile,
        "question": spec.question,
        "expectation": spec.expectation,
        "primary": str(spec.primary),
        "margin": spec.margin,
        "seeds": list(spec.seeds),
        "pairs": [list(pair) for pair in spec.pairs],
        "spec": spec_fields(spec),
        "declared": {
            "recorded": recorded(home, spec),
            "committed": committed(file, profile, _starts(material.manifests.values())),
        },
        "models": _models(study, material),
    }


def _models(study: Study, material: Material) -> dict[str, dict[str, Any]]:
    """What each model is: the organism's recipe or the place it came from, and the digest of its weights."""
    weights: dict[str, str] = {}
    for cell in material.cells:
        if cell.run in material.manifests:
            weights.setdefault(cell.model, material.manifests[cell.run]["inputs"]["model"])
    described = {}
    for name, model in study.spec.models.items():
        described[name] = {**model.model_dump(mode="json", exclude_defaults=True), "digest": weights.get(name)}
        if model.organism:
            described[name]["recipe_digest"] = load_recipe(model.organism).digest
    return described


def _starts(manifests: Iterable[Mapping[str, Any]]) -> list[datetime]:
    """When each run was started first."""
    return [datetime.fromisoformat(one["attempts"][0]["started"]) for one in manifests if one["attempts"]]


def _write_tables(results: Results, target: Path) -> Iterator[Path]:
    for name, table in TABLES.items():
        rows = table(results)
        if rows.height:
            path = target / f"{name}.csv"
            write_text(path, csv(_rounded(rows)))
            yield path


def _rounded(table: pl.DataFrame) -> pl.DataFrame:
    floats = [name for name, kind in table.schema.items() if kind.is_float()]
    return table.with_columns(pl.col(floats).round_sig_figs(DIGITS) + 0.0)


def _draw(results: Results, target: Path) -> tuple[list[Path], str]:
    """The figures, or why there are none."""
    figures = main_figures(results)
    if not figures:
        return [], ""
    try:
        return export(figures, target, "svg", tables=False), ""
    except InputError as error:
        return [], str(error).removeprefix("--figures: ")
