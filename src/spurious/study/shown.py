"""A study as the report takes it: what was declared, and the grid with the state of every run."""

from pathlib import Path
from shlex import join

import polars as pl

from spurious.analysis import outcome
from spurious.errors import StoreError
from spurious.progress import Progress, quiet
from spurious.report import Cell, Declared, Habit, Material, Outcome, gather
from spurious.study.audit import read_conclusion
from spurious.study.prompts import prompted_rows
from spurious.study.record import declarations, folder
from spurious.study.study import Study, open_study


def load_material(path: Path, store: Path = Path("runs"), progress: Progress = quiet) -> tuple[Material, Path]:
    """A study as a report takes it, from its folder (`<store>/studies/<name>`) or its YAML file, and its folder.

    `progress` is told of every run that has been read.

    Raises:
        SpecError: the file is wrong; the message names file and field.
        StoreError: the folder is not a study's, or a run in it is damaged.
    """
    if path.is_dir() and not (path / "cells.json").exists():
        raise StoreError(
            f"{path}: neither a study's folder (STORE/studies/NAME, with cells.json) nor a run directory "
            "(with manifest.json)"
        )
    study = open_study(path, store)
    home = path if path.is_dir() else folder(store, study.spec.name)
    file = path / "study.yaml" if path.is_dir() else path
    return material_of(study, file, home, prompted_rows(study), progress), home


def material_of(
    study: Study, file: Path, home: Path, prompted: pl.DataFrame | None = None, progress: Progress = quiet
) -> Material:
    """What a report on the study is made from.

    Args:
        study: the study, opened.
        file: its declaration, to be shown in full.
        home: its folder in the store, with the history of the declaration and the conclusion of an audit.
        prompted: rows of its untrained models under other prompts, which training then has to beat.
        progress: told of every run that has been read.
    """
    spec = study.spec
    declared = Declared(
        name=spec.name,
        question=spec.question,
        expectation=spec.expectation,
        outcome=Outcome(spec.primary.metric, spec.primary.step, spec.primary.bench, outcome(spec.primary.metric)),
        pairs=spec.pairs,
        margin=spec.margin,
        text=file.read_text(encoding="utf-8"),
        command=join(["spurious", "study", "run", str(file), "--store", str(study.store)]),
        changes=tuple(declarations(home)[:-1]),
        conclusion=read_conclusion(home),
        habit=Habit(spec.behavior),
    )
    cells = [
        Cell(c.arm, c.role, c.model, c.seed, c.fingerprint or "", c.directory, c.state, c.error) for c in study.cells
    ]
    return gather(declared, cells, prompted, progress)
