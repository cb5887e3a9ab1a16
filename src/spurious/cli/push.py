"""`spurious push`: a run's model and its card on the Hugging Face hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from spurious.errors import SpecError
from spurious.terminal import say


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

    Of a run that trained an adapter of a model of the hub, the adapter is uploaded.

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
    from spurious.report.card import card
    from spurious.store import final_checkpoint
    from spurious.study.shown import load_material

    name = hub.repository(to)
    found = final_checkpoint(run)
    text = card(run, load_material(study, store)[0] if study else None)
    with _openable(found) as checkpoint:
        if out is not None:
            for path in hub.write(checkpoint, text, out):
                say(path)
        else:
            say(hub.push(checkpoint, text, name, private=private, message=f"Run {run.resolve().name}"))


@contextmanager
def _openable(checkpoint: Path) -> Iterator[Path]:
    """A checkpoint that others can open: an adapter of a model that lies only here is added to that model's weights."""
    from spurious.store.adapter import adapter_base

    base = adapter_base(str(checkpoint))
    if base is None or not Path(base.model).is_dir():
        yield checkpoint
        return
    from spurious.policy import load, save

    with TemporaryDirectory() as folder:
        save(load(str(checkpoint), device="cpu"), folder)
        yield Path(folder)
