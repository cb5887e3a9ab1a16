"""Studies: arms x models x seeds with one declared outcome; planned, run side by side, and opened for reading."""

from spurious.study.cells import Cell
from spurious.study.launch import run_study
from spurious.study.parts import ArmSpec, ModelSpec, Primary
from spurious.study.spec import StudySpec, load_spec, resolve
from spurious.study.study import Study, open_study

__all__ = [
    "ArmSpec",
    "Cell",
    "ModelSpec",
    "Primary",
    "Study",
    "StudySpec",
    "load_spec",
    "open_study",
    "resolve",
    "run_study",
]
