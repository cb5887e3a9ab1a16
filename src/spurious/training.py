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

    Arguments and what is returned are those of `spurious.grpo.trainer.train`.

    Raises:
        InputError: as there, or the engine is not installed, cannot do what the specification says, or was launched in
            more processes than it knows.
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
