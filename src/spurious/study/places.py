"""Where a study runs, by name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spurious.errors import SpecError
from spurious.study.elsewhere import Needs, Ray, Slurm
from spurious.study.worker import Here, Place

PLACES = ("local", "ray", "slurm")


@contextmanager
def placed(
    name: str,
    folder: Path,
    cpus: int = 1,
    gpus: float = 0,
    address: str | None = None,
    slurm: Mapping[str, Any] | None = None,
) -> Iterator[Place]:
    """A place that processes can be started on, until the end of the block.

    Args:
        name: one of `PLACES`.
        folder: the study's, for what a cluster's scripts and logs need.
        cpus: of one run.
        gpus: of one run.
        address: of a Ray cluster.
        slurm: parameters of submitit.

    Raises:
        SpecError: there is no such place, it is not installed or not reached, or something is asked that it has not.
    """
    needs = Needs(cpus, gpus)
    if name != "ray" and address is not None:
        raise SpecError(f"--address {address}: only --on ray has one")
    if name != "slurm" and slurm:
        raise SpecError(f"--slurm.{next(iter(slurm))}: only --on slurm has parameters")
    if name == "local":
        if needs != Needs():
            raise SpecError("--cpus, --gpus: only for --on ray and --on slurm; here OMP_NUM_THREADS and --jobs say it")
        yield Here()
    elif name == "ray":
        with Ray(needs, address) as ray:
            yield ray
    elif name == "slurm":
        with Slurm(needs, folder / "slurm", dict(slurm or {})) as cluster:
            yield cluster
    else:
        raise SpecError(f"--on {name}: there are {', '.join(PLACES)}")
