"""`spurious organism`: tiny models whose pretraining is known."""

from pathlib import Path

from cyclopts import App

from spurious.terminal import say

organism = App(name="organism", help="Tiny models whose pretraining is known.")


@organism.command
def build(recipe: str, *, out: Path) -> None:
    """Pretrain an organism from scratch; built already, it is left alone.

    Args:
        recipe: good-code, bad-code, no-code, good-trace, bad-trace, good-deduction, bad-deduction, or a recipe file.
        out: The model directory (Hugging Face format) to write.
    """
    from spurious.organisms import build as build_organism
    from spurious.progress import on_terminal

    with on_terminal() as progress:
        say(build_organism(recipe, out, progress=progress))
