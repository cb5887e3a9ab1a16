"""`spurious push`: a run's model and its card on the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from spurious.errors import SpecError


def push(
    run: Path,
    *,
    to: str,
    study: Path | None = None,
    store: Path = Path("runs"),
    private: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
) -> None:
    """Upload a complete run's model with a card: arm, reward, evaluations, verdict, and a warning if it is a placebo.

    Args:
        run: A run directory.
        to: USER/NAME, a model repository; it is made where it is missing.
        study: The folder (STORE/studies/NAME) or YAML file of the study that the run belongs to, for its arm's role
            and the verdict.
        store: Where the runs of a study given as YAML are kept.
        private: Make a new repository private.
        dry_run: Upload nothing and write what would be uploaded into the folder --out; needs no network.
        out: That folder, which must be new.
    """
    if dry_run != (out is not None):
        raise SpecError("--out: the folder that --dry-run writes; give both or neither")
    from spurious import hub
    from spurious.cli.report import study_material
    from spurious.report.card import card
    from spurious.store import final_checkpoint

    name = hub.repository(to)
    checkpoint = final_checkpoint(run)
    text = card(run, study_material(study, store)[0] if study else None)
    if out is not None:
        for path in hub.write(checkpoint, text, out):
            print(path)
    else:
        print(hub.push(checkpoint, text, name, private=private, message=f"Run {run.resolve().name}"))
