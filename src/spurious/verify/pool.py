"""Killable worker processes for the symbolic step: started on first use, closed at exit, started anew after a fork."""

import os
import signal
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from multiprocessing import current_process
from multiprocessing.util import Finalize
from typing import Any

from pebble import ProcessExpired, ProcessPool

from spurious.errors import SpuriousError
from spurious.forks import ForkedProcess, Forks
from spurious.types import Status
from spurious.verify.ladder import Step
from spurious.verify.symbolic import Job, prepare, run

DEADLINE = 1.0
"""Seconds of CPU one comparison may take before the kernel kills its worker and it is graded `timeout`.

Of CPU, so that a busy machine gives the grades of a quiet one.
"""
PATIENCE = 20.0
"""Seconds after which a worker that neither answers nor computes is killed, with the same grade."""
SILENCE = 3 * PATIENCE
"""Seconds in which not one worker takes or finishes anything before all are replaced: somebody has stopped them."""
MEMORY = 1 << 30
"""Bytes of address space a worker may use; the parser needs a quarter of it."""
CHUNK = 32
"""Comparisons sent to a worker at once; a worker returns early when `_BUDGET` seconds are used."""
RECYCLE = 500
"""Chunks after which a worker is replaced, so that the algebra system's caches do not grow forever."""

_BUDGET = 0.5
_lock = threading.Lock()
_pool: ProcessPool | None = None
_locks: list[Any] = []
"""What the workers lock. The pool drops its own before they have ended, and one just starting must still find them."""

Item = tuple[str, str]


class _PoolForks(Forks):
    def RLock(self) -> Any:
        """A lock that stays until the pool's workers have ended."""
        lock = super().RLock()
        _locks.append(lock)
        return lock


class _Worker(ForkedProcess):
    """A process that has the parser loaded: a killed worker is replaced in milliseconds."""

    forks = _PoolForks("spurious.verify.preload")

    def start(self) -> None:
        """Start it, also from a daemonic process: a worker ends when whoever asks it is gone, so none stays behind."""
        asking = current_process()
        daemonic, asking.daemon = asking.daemon, False
        try:
            super().start()
        finally:
            asking.daemon = daemonic


_Worker.forks.Process = _Worker  # type: ignore[misc]


def default_workers() -> int:
    """Workers of the pool: one a core up to eight, and two at least, so that one is warm while another restarts."""
    return max(2, min(8, os.cpu_count() or 1))


def statuses(job: Job, items: Sequence[Item], steps: tuple[Step, ...], workers: int | None = None) -> list[Status]:
    """The status of each (gold, answer), in order, with at most `workers` of the pool's processes busy for this call.

    A comparison that outlives `DEADLINE` is `timeout`, one whose worker dies is `failed`; the others are unharmed.
    """
    found: dict[int, Status] = {}
    waiting = deque(list(range(start, min(start + CHUNK, len(items)))) for start in range(0, len(items), CHUNK))
    busy: dict[Future[list[Status]], list[int]] = {}
    silent = False
    while waiting or busy:
        while waiting and len(busy) < (workers or default_workers()):
            chunk = waiting.popleft()
            busy[_submit(job, [items[index] for index in chunk], steps)] = chunk
        finished = wait(busy, timeout=SILENCE, return_when=FIRST_COMPLETED).done
        if not finished:
            if silent:
                raise SpuriousError(f"the workers of the grader do not answer: twice nothing in {SILENCE:.0f} seconds")
            close()
            waiting.extendleft(reversed(busy.values()))
            busy.clear()
        silent = not finished
        for future in finished:
            chunk = busy.pop(future)
            done = _outcome(future, alone=len(chunk) == 1)
            if done is None:
                waiting.extend([index] for index in chunk)
                continue
            found.update(zip(chunk, done, strict=False))
            if len(done) < len(chunk):
                waiting.appendleft(chunk[len(done) :])
    return [found[index] for index in range(len(items))]


def _outcome(future: "Future[list[Status]]", *, alone: bool) -> list[Status] | None:
    """The statuses of a finished chunk; None when it broke and its items must be tried one by one."""
    error = future.exception()
    if error is None:
        return future.result()
    if not alone:
        return None
    spent = isinstance(error, ProcessExpired) and error.exitcode == -signal.SIGPROF
    return ["timeout"] if spent or isinstance(error, TimeoutError) else ["failed"]


def _submit(job: Job, items: list[Item], steps: tuple[Step, ...]) -> "Future[list[Status]]":
    arguments = [job, items, steps, DEADLINE, _BUDGET]
    while True:
        pool = _running()
        try:
            future: Future[list[Status]] = pool.schedule(run, args=arguments, timeout=PATIENCE)
        except RuntimeError:
            if pool.active:
                raise
            continue  # it broke, or another thread closed it, after it was asked for
        return future


def _running() -> ProcessPool:
    """The pool; one whose workers died all at once is broken for good, and another takes its place."""
    global _pool, _locks
    with _lock:
        if _pool is not None and not _pool.active:
            _end(_pool, _locks)
            _pool, _locks = None, []
        if _pool is None:
            _pool = ProcessPool(
                max_workers=default_workers(),
                max_tasks=RECYCLE,
                initializer=prepare,
                initargs=[MEMORY],
                context=_Worker.forks,
            )
            # Not atexit: a process of multiprocessing ends without it, and would wait for the workers for ever.
            Finalize(None, close, exitpriority=1)
        return _pool


def close() -> None:
    """Stop the workers; a later comparison starts new ones."""
    global _pool, _locks
    with _lock:
        pool, _pool = _pool, None
        locks, _locks = _locks, []
    if pool is not None:
        _end(pool, locks)


def _end(pool: ProcessPool, locks: list[Any]) -> None:
    pool.stop()
    pool.join()
    locks.clear()


def _forget() -> None:
    """A forked child inherits neither the pool's threads nor its workers: it starts its own."""
    global _pool, _lock, _locks
    _pool, _lock, _locks = None, threading.Lock(), []


os.register_at_fork(after_in_child=_forget)
