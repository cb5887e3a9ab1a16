"""`spurious demo`: the packaged study `demo`, from two recipes to its page."""

import sys
from importlib.resources import files
from pathlib import Path

from spurious.cli.report import material
from spurious.cli.study import run_owed
from spurious.terminal import say

STUDY = "demo.yaml"


def demo(*, out: Path = Path("runs/demo"), profile: str | None = None, jobs: str = "auto") -> None:
    """Train two tiny models under the truth and under a coin, with and without clipping, and make a page of it.

    Builds the organisms first. Run again, it goes on where it stopped, or only makes the page.

    Args:
        out: The store of organisms and runs; the page is in OUT/studies/demo.
        profile: quick: one seed and three steps, to see that everything works.
        jobs: Runs side by side; auto is one for each core.
    """
    from spurious.report import answer, caveats, headline, render
    from spurious.store.files import write_text
    from spurious.study import load_spec
    from spurious.study.record import folder

    spec = load_spec(Path(str(files("spurious.studies") / STUDY)), profile)
    outcome = run_owed(spec, out, jobs=jobs)
    found, home = material(folder(out, spec.name), out)
    write_text(home / "report.html", render(found))
    counted = answer(found)
    say("\n".join([spec.question, headline(found, counted), *caveats(found, counted)]))
    say(home / "report.html")
    say(f"Runs are kept in {out}.", file=sys.stderr)
    outcome.check(out)
