"""`spurious report`: what came out, as one page to look at and as figures for papers."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.report import Material


def report(
    path: Path,
    *,
    out: Path | None = None,
    figures: Path | None = None,
    format: Literal["svg", "png", "pdf"] = "svg",
    store: Path = Path("runs"),
) -> None:
    """Write a self-contained HTML page about a study or a run; it opens from a disk and needs no network.

    Args:
        path: A study's folder (STORE/studies/NAME) or its YAML file, or a run directory.
        out: The page; by default report.html in the study's folder or the run directory.
        figures: Write every figure into this directory instead, each with its data as CSV.
        format: What the figures are written as.
        store: Where the runs of a study given as YAML are kept.
    """
    from spurious.report import answer, export, render
    from spurious.report import figures as all_figures

    shown, home = material(path, store)
    if figures is not None:
        for written in export(all_figures(shown, answer(shown)), figures, format):
            say(written)
        return
    from spurious.store.files import write_text

    target = out or home / "report.html"
    write_text(target, render(shown))
    say(target)


def material(path: Path, store: Path) -> "tuple[Material, Path]":
    """What to report on, and where its page belongs."""
    from spurious.progress import on_terminal
    from spurious.report import single_run

    if (path / "manifest.json").exists():
        return single_run(path), path
    from spurious.study.shown import load_material

    with on_terminal() as progress:
        return load_material(path, store, progress)
