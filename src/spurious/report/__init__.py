"""Tables to figures to one HTML page, for people who would rather look than read; never imports torch."""

from spurious.report.analyses import Analysis, analyses
from spurious.report.answer import answer
from spurious.report.habit import Habit
from spurious.report.material import Cell, Declared, Material, Outcome, gather, single_run
from spurious.report.page import figures, render
from spurious.report.static import document, export
from spurious.report.words import caveats, headline

__all__ = [
    "Analysis",
    "Cell",
    "Declared",
    "Habit",
    "Material",
    "Outcome",
    "analyses",
    "answer",
    "caveats",
    "document",
    "export",
    "figures",
    "gather",
    "headline",
    "render",
    "single_run",
]
