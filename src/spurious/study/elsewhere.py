"""Processes on other machines, followed through the store that all of them see, and the places that start them.

Whatever starts them (Ray, Slurm) is asked two things: whether a job is over, and to end it. What a job has to say it
writes into a file of its own.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from spurious.errors import SpecError
from spurious.study.followed import Followed
from spurious.study.remote import PATIENCE, ended, work

EVERY = 0.2
"""Seconds between looks at a job."""
ROOM = 1000
"""Jobs handed to a cluster at once; how many of them run, it decides."""
LOST = 3
"""How often a run whose machine was lost, or whose job was preempted, is started again."""


class Handle(Protocol):
    """A job of a cluster."""

    def over(self) -> bool:
        """Whether nothing runs any more."""
        ...

    def end(self) -> None:
        """End it."""
        ...

    def death(self) -> str:
        """Why it is over, of a job that said nothing."""
        ...


class Elsewhere(Followed):
    """A process on another machine."""

    def __init__(self, title: str, log: Path, reports: Path, handle: Handle) -> None:
        """Follow the job; from `follow` on."""
        super().__init__(title, log)
        self._file, self._handle = reports, handle
        self._thread = threading.Thread(target=self._forward, name=f"follow {title}", daemon=True)

    def follow(self) -> Self:
        """Look at it from now on."""
        self._thread.start()
        return self

    def ask_to_stop(self) -> None:
        """Ask it to stop; `close` waits for it."""
        self._handle.end()

    def close(self) -> None:
        """Wait for its end; a job that does not end is the cluster's to see to."""
        self._thread.join(2 * PATIENCE)
        self.reports.close()
        self._file.unlink(missing_ok=True)

    @property
    def death(self) -> str:
        """Why it ended without a word; once it has ended."""
        return self._handle.death()

    def _forward(self) -> None:
        """Pass on what it reports, until it is over."""
        read = 0
        try:
            over = False
            while not over:
                over = self._handle.over()  # first: what it wrote before its end is read after it
                read += self._pass_on(read)
                if not over:
                    time.sleep(EVERY)
        except OSError:  # nobody listens any more
            pass
        finally:
            self._writer.close()

    def _pass_on(self, start: int) -> int:
        """Whole lines from `start` on; opened anew each time, so that a network's file system shows what is new."""
        try:
            with self._file.open("rb") as file:
                file.seek(start)
                data = file.read()
        except FileNotFoundError:
            return 0
        whole = data[: data.rfind(b"\n") + 1]
        if whole:
            os.write(self._writer.fileno(), whole)
        return len(whole)


@dataclass(frozen=True)
class Needs:
    """What one run asks of the cluster."""

    cpus: int = 1
    """Cores, and threads that it computes on."""
    gpus: float = 0
    """GPUs; a part of one where the cluster can share."""

    def asked(self, request: dict[str, Any], log: Path, reports: Path) -> dict[str, Any]:
        """What `spurious.study.remote.work` is told; the working directory is the same on every machine."""
        return {
            "request": request,
            "log": str(log.resolve()),
            "reports": str(reports.resolve()),
            "directory": str(Path.cwd()),
            "path": os.environ.get("PYTHONPATH", ""),
            "threads": self.cpus,
        }


def _reports(log: Path) -> Path:
    """A file for the reports of one process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.with_name(f"{log.stem}-{secrets.token_hex(4)}.reports")


@dataclass
class Ray:
    """A Ray cluster: each run a task. A context manager: leaving it leaves the cluster."""

    needs: Needs
    address: str | None = None
    """Of a running cluster; `auto` finds the one this machine belongs to, None starts one of this machine alone."""
    kills: int = LOST
    room: int = ROOM
    _task: Any = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        """Join the cluster.

        Raises:
            SpecError: Ray is not installed, or there is no cluster.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise SpecError("--on ray: Ray is not installed; pip install 'spurious[ray]'") from error
        if not ray.is_initialized():
            try:
                ray.init(address=self.address, log_to_driver=False, include_dashboard=None if self.address else False)
            except (ConnectionError, ValueError) as error:
                raise SpecError(f"--on ray, --address {self.address}: {error}") from error
        self._task = ray.remote(work).options(num_cpus=self.needs.cpus, num_gpus=self.needs.gpus, max_retries=0)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it."""
        import ray

        ray.shutdown()

    def batch(self) -> AbstractContextManager[None]:
        """Nothing belongs together."""
        return nullcontext()

    def start(self, title: str, request: dict[str, Any], log: Path) -> Followed:
        """Hand a task to the cluster, which starts it when a machine has room."""
        reports = _reports(log)
        task = self._task.remote(self.needs.asked(request, log, reports))
        return Elsewhere(title, log, reports, _RayTask(task)).follow()


@dataclass(frozen=True)
class _RayTask:
    reference: Any

    def over(self) -> bool:
        import ray

        return bool(ray.wait([self.reference], timeout=0)[0])

    def end(self) -> None:
        import ray

        ray.cancel(self.reference)

    def death(self) -> str:
        import ray

        try:
            return ended(ray.get(self.reference))
        except ray.exceptions.RayError as error:
            return f"its machine or its task was lost: {_first_line(error)}"


@dataclass
class Slurm:
    """Slurm through submitit: the runs that can start together are one job array."""

    needs: Needs
    folder: Path
    """For submitit's scripts and logs; every machine sees it."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """More for submitit, such as `slurm_partition` and `timeout_min`."""
    cluster: str = "slurm"
    """`local` runs the jobs as processes of this machine."""
    kills: int = LOST
    room: int = ROOM
    _executor: Any = field(default=None, init=False, repr=False)
    _held: list[Elsewhere] = field(default_factory=list, init=False, repr=False)

    def __enter__(self) -> Self:
        """Prepare to submit.

        Raises:
            SpecError: submitit is not installed, there is no Slurm here, or a parameter is unknown.
        """
        try:
            import submitit
        except ImportError as error:
            raise SpecError("--on slurm: submitit is not installed; pip install 'spurious[slurm]'") from error
        asked = {"cpus_per_task": self.needs.cpus, "gpus_per_node": int(self.needs.gpus), "timeout_min": 24 * 60}
        if self.needs.gpus != int(self.needs.gpus):
            raise SpecError(f"--gpus {self.needs.gpus}: Slurm gives whole GPUs")
        try:
            self._executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
            self._executor.update_parameters(**asked | self.parameters)
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            raise SpecError(f"--on slurm: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What is started inside is one job array, submitted at the end."""
        with self._executor.batch():
            yield
        for one in self._held:
            one.follow()
        self._held.clear()

    def start(self, title: str, request: dict[str, Any], log: Path) -> Followed:
        """Put a job into the array."""
        reports = _reports(log)
        job = self._executor.submit(work, self.needs.asked(request, log, reports))
        one = Elsewhere(title, log, reports, _SlurmJob(job))
        self._held.append(one)
        return one


@dataclass(frozen=True)
class _SlurmJob:
    job: Any

    def over(self) -> bool:
        return bool(self.job.done())

    def end(self) -> None:
        self.job.cancel()

    def death(self) -> str:
        try:
            return ended(self.job.result())
        except Exception as error:  # submitit raises what it finds of the job's end, of many kinds
            return f"its job was lost: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
