"""`spurious mirror`: runs shown in a tracker."""

from pathlib import Path

from spurious.terminal import say


def mirror(path: Path, *, to: str, out: Path, project: str = "spurious") -> None:
    """Show runs in TensorBoard, Weights & Biases (offline) or trackio; the run directories stay the record.

    Args:
        path: A run directory, or a store.
        to: tensorboard, wandb or trackio.
        out: A folder for the tracker's files.
        project: What the tracker groups the runs under.
    """
    from spurious.mirror import mirror as show

    for name in show(path, to, out, project):
        say(name)
