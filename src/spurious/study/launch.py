"""Running a study: every owed run in a process of its own, several side by side, and nothing ever twice.

Every process computes on one thread: for small models many runs on a core each finish sooner than one run on many
cores. A run that fails by itself would fail again (runs are deterministic), so it is not tried again; one whose process
was killed from outside is, once (on a cluster, where machines are lost, a few times). Whatever stops this process stops
the others: they watch a pipe that it holds open.
"""

import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.errors import SpuriousError, disk_full
from spurious.store.state import is_locked, run_state
from spurious.study.cells import Planned, distinct, expand
from spurious.study.costs import Costs
from spurious.study.ending import Outcome, full_message
from spurious.study.followed import Followed
from spurious.study.made import Made, Trained, run_request
from spurious.study.record import Failure, clear_failure, log_path, write_failure, write_study
from spurious.study.spec import StudySpec
from spurious.study.worker import Here, Place

ELSEWHERE_EVERY = 1.0
"""Seconds between looks at a run that another process is writing."""


@dataclass(frozen=True)
class Job:
    """One process to be run: that of a run, or of a thing that is made before runs."""

    work: Made | Planned
    kills: int = 0
    """How often its process was killed from outside."""

    @property
    def key(self) -> str:
        """Names its files in the study's folder."""
        return self.work.identity.fingerprint if isinstance(self.work, Planned) else self.work.key

    @property
    def title(self) -> str:
        """The job in words."""
        return self.work.cell.title if isinstance(self.work, Planned) else self.work.title

    @property
    def directory(self) -> Path | None:
        """Of the run that it is, where it is one."""
        if isinstance(self.work, Planned):
            return self.work.cell.directory
        return self.work.directory if isinstance(self.work, Trained) else None


class Watch:
    """Told of everything that happens; this one keeps still."""

    def say(self, message: str) -> None:
        """Something a person should know now."""

    def show(self, done: int, total: int, running: Collection[Followed], remaining: float | None) -> None:
        """How far everything is; `remaining` in seconds, None where nothing is known yet."""


def run_study(
    study: StudySpec,
    store: Path,
    *,
    data_dir: Path | None = None,
    jobs: int | None = None,
    only: Collection[str] = (),
    watch: Watch | None = None,
    place: Place | None = None,
) -> Outcome:
    """Run what is owed, and return when every run is done or has failed.

    Args:
        study: what to run.
        store: where runs, what is made before them, and the study's folder are kept.
        data_dir: local copies of data sets, instead of the hub.
        jobs: processes side by side; by default as many as the place has room for.
        only: run only these arms.
        watch: told of progress.
        place: where processes run; this machine by default.

    Raises:
        InputError: an arm cannot be run.
        SpuriousError: the disk is full before anything could start.
    """
    try:
        with _stop_on_sigterm():
            return _Launch(
                study, store, data_dir, jobs or (place or Here()).room, set(only), watch or Watch(), place or Here()
            ).run()
    except OSError as error:
        if disk_full(error):
            raise SpuriousError(full_message(store)) from error
        raise


class _Launch:
    """The state of one call of `run_study`."""

    def __init__(
        self,
        study: StudySpec,
        store: Path,
        data_dir: Path | None,
        jobs: int | None,
        only: Collection[str],
        watch: Watch,
        place: Place,
    ) -> None:
        self.study, self.store, self.data_dir, self.place = study, store, data_dir, place
        self.jobs = jobs or place.room
        self.only, self.watch = only or set(study.arms), watch
        self.costs = Costs(store)
        self.outcome = Outcome()
        self.queue: deque[Job] = deque()
        self.running: dict[Followed, Job] = {}
        self.elsewhere: list[Job] = []
        self.seen_elsewhere: set[str] = set()
        self.tried: set[str] = set()
        """Keys of everything that was queued once."""
        self.waiting = 0
        """Runs that need something that is not made yet."""

    def run(self) -> Outcome:
        """Do everything that can be done."""
        self._plan()
        try:
            with selectors.DefaultSelector() as selector:
                while self.queue or self.running or self.elsewhere:
                    self._start(selector)
                    self._listen(selector)
                    self._look_elsewhere()
        finally:
            _stop(list(self.running))
        self.outcome.not_started += self.waiting
        return self.outcome

    def _plan(self) -> None:
        """Queue all that can be started now and was not yet; called again whenever something has been made."""
        planned = expand(self.study, self.store, self.data_dir)
        self._record(planned)
        chosen = list(distinct(one for one in planned if one.cell.arm in self.only))
        self.waiting = sum(bool(one.first) for one in chosen)
        needed = {made.key: made for one in chosen for made in one.first if not made.first}
        jobs = [Job(made) for made in reversed(needed.values())] + [Job(one) for one in chosen if not one.first]
        for job in jobs:
            if job.key not in self.tried:
                self.tried.add(job.key)
                self._enqueue(job)

    def _record(self, planned: Collection[Planned]) -> None:
        done = {p.identity.fingerprint for p in planned if p.cell.directory and (p.cell.directory / "DONE").exists()}
        write_study(self.store, self.study, [one.cell for one in planned], len(done))

    def _enqueue(self, job: Job) -> None:
        """Queue it, unless there is nothing to do; what others wait for goes first."""
        if not isinstance(job.work, Planned):
            self.queue.appendleft(job)
        elif job.work.cell.state == "failed":
            self._give_up(job, Failure(job.work.cell.error, ""))
        elif job.work.cell.directory is not None and run_state(job.work.cell.directory).state == "done":
            self.outcome.done += 1
        else:
            self.queue.append(job)

    def _start(self, selector: selectors.BaseSelector) -> None:
        if self.outcome.full:
            self.outcome.not_started += sum(isinstance(job.work, Planned) for job in self.queue)
            self.queue.clear()
        ready: list[Job] = []
        while self.queue and len(self.running) + len(ready) < self.jobs:
            job = self.queue.popleft()
            if job.directory and is_locked(job.directory):
                self._leave(job)
            else:
                ready.append(job)
        if not ready:
            return
        with self.place.batch():
            for job in ready:
                clear_failure(self.store, self.study.name, job.key)
                log = log_path(self.store, self.study.name, job.key)
                worker = self.place.start(job.title, self._request(job.work), log)
                self.running[worker] = job
                selector.register(worker.reports, selectors.EVENT_READ, worker)
        self._show()

    def _request(self, work: Made | Planned) -> dict[str, Any]:
        where = {"store": str(self.store), "data": str(self.data_dir) if self.data_dir else None}
        if isinstance(work, Planned):
            return run_request(work.spec, work.identity, work.cell.directory) | where
        return work.request() | where

    def _listen(self, selector: selectors.BaseSelector) -> None:
        """Wait for news of any process; a process whose pipe has ended has ended itself."""
        if not self.running:
            time.sleep(ELSEWHERE_EVERY if self.elsewhere and not self.queue else 0)
            return
        for ready, _ in selector.select(ELSEWHERE_EVERY):
            worker: Followed = ready.data
            if worker.read():
                continue
            selector.unregister(worker.reports)
            job = self.running.pop(worker)
            worker.close()
            self._ended(job, worker)
        self._show()

    def _look_elsewhere(self) -> None:
        for job in list(self.elsewhere):
            assert job.directory is not None
            state = run_state(job.directory).state
            if state != "running":
                self.elsewhere.remove(job)
            if state == "done":
                self._there(job)
            elif state != "running":
                self.queue.append(job)

    def _ended(self, job: Job, worker: Followed) -> None:
        match worker.ending:
            case "done":
                self._finished(job, worker)
            case "locked":
                self._leave(job)
            case "killed" | "interrupted" if job.kills < self.place.kills:
                self.watch.say(f"{job.title}: {worker.error}; it goes on")
                self.queue.appendleft(Job(job.work, job.kills + 1))
            case "full":
                self.outcome.full = True
                self._failed(job, Failure(f"no space left in {self.store.resolve()}", str(worker.log)))
            case _:
                self._failed(job, Failure(worker.error, str(worker.log)))

    def _finished(self, job: Job, worker: Followed) -> None:
        first_log = log_path(self.store, self.study.name, job.key)
        with suppress(FileNotFoundError):  # another parent that ran the study beside this one was first
            if first_log.stat().st_size == 0:
                first_log.unlink()
        if worker.first == 0 or not job.directory:
            self.costs.learn(job.work, worker.seconds)
        self._there(job)

    def _there(self, job: Job) -> None:
        """Count a run that is complete now; what waited for a thing that is made now can start."""
        if isinstance(job.work, Planned):
            self.outcome.done += 1
        else:
            self._plan()

    def _leave(self, job: Job) -> None:
        """Wait for a run that another process is writing."""
        if job.key not in self.seen_elsewhere:
            self.watch.say(f"{job.title}: running elsewhere; waiting for it")
        self.seen_elsewhere.add(job.key)
        self.elsewhere.append(job)

    def _failed(self, job: Job, failure: Failure) -> None:
        self._give_up(job, failure)
        with suppress(OSError):  # a full disk: the message above and the exit status say it
            write_failure(self.store, self.study.name, job.key, failure)

    def _give_up(self, job: Job, failure: Failure) -> None:
        self.outcome.failures.append((job.title, failure))
        self.watch.say(f"{job.title}: failed: {failure.error}")

    def _show(self) -> None:
        waiting = len(self.queue) + len(self.elsewhere) + self.waiting
        ended = self.outcome.done + len(self.outcome.failures)
        self.watch.show(ended, ended + len(self.running) + waiting, list(self.running), self._remaining())

    def _remaining(self) -> float | None:
        """Seconds that are left at the pace of finished runs, or of those under way where none is finished."""
        left = [worker.left(self._cost(job.work)) for worker, job in self.running.items()]
        paces = [total for worker in self.running if (total := worker.expected) is not None]
        guess = sum(paces) / len(paces) if paces else None
        left += [self._cost(job.work) or guess for job in self.queue]
        left += [guess] * self.waiting
        known = [seconds for seconds in left if seconds is not None]
        if len(known) < len(left) or not known:
            return None
        return max(*known, sum(known) / min(self.jobs, len(known)), 0.0)

    def _cost(self, work: Made | Planned) -> float | None:
        return self.costs.run(work.identity) if isinstance(work, Planned) else self.costs.made(work)


def _stop(workers: Collection[Followed]) -> None:
    """End processes: asked first, so that they say in their manifest that they were interrupted."""
    for worker in workers:
        worker.ask_to_stop()
    for worker in workers:
        worker.close()


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, unless somebody has said already what it does; only the main thread may."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    before: Callable[..., Any] | int | None = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
