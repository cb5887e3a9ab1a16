"""Train one run on the engine that its specification names."""

from collections.abc import Callable
from pathlib import Path

from spurious.engines.trl.plan import installed_trl
from spurious.engines.trl.processes import Processes
from spurious.errors import SpecError
from spurious.progress import Progress, quiet
from spurious.specs import RunSpec
from spurious.store import Run


def train(
    spec: RunSpec,
    directory: Path | None = None,
    *,
    store: Path = Path("runs"),
    data_dir: Path | None = None,
    progress: Progress = quiet,
    opened: Callable[[Run], None] | None = None,
) -> Path:
    """Run one specification to its end; started again, it goes on where it stopped.

    Args:
        spec: what to run.
        directory: the run directory; by default one below `store` that is named after what the run is.
        store: where runs are kept.
        data_dir: local copies of data sets, instead of the hub.
        progress: told of every step.
        opened: given the run when its directory is ours and before anything is done; it may refuse by raising.

    Returns:
        The run directory.

    Raises:
        InputError: the specification, the model, the data, the reward or the directory is at fault; the message says.
        NumericalError: a NaN or an infinity arose.
    """
    if spec.engine == "own":
        count = Processes.of_environment().count
        if count > 1:
            raise SpecError(f"engine: own trains in one process, and {count} were launched; use trl")
        if spec.trl != type(spec.trl)():
            raise SpecError("trl: has no effect on the engine own")
        from spurious.grpo.trainer import train as run
    else:
        installed_trl()
        from spurious.engines.trl.run import train as run
    return run(spec, directory, store=store, data_dir=data_dir, progress=progress, opened=opened)
