"""reasoning-gym's scorers in a process that can be killed: they hand the model's text to parsers of every kind.

The process is a fresh interpreter, not a fork, that talks over a pipe; it is started by the first answer.
"""

import atexit
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from spurious.errors import SpuriousError
from spurious.types import Status
from spurious.verify.limits import MAX_ANSWER

DEADLINE = 2.0
"""Seconds one answer may take before its worker is killed and it is graded `timeout`."""
MEMORY = 4 << 30
"""Bytes of address space the worker may use; importing reasoning-gym takes a good part of one GiB."""

_START = 120.0
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError)

Item = tuple[Mapping[str, Any], str]
"""A problem's metadata (`dataset`, `config`, `entry`) and an answer to it."""


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: "Connection[Any, Any]"


_lock = threading.Lock()
_worker: _Worker | None = None


def statuses(items: Sequence[Item]) -> list[Status]:
    """The status of each answer, in order.

    Full marks are `correct`, less is `wrong`. An answer over `verify.limits.MAX_ANSWER` characters is `limit`, one that
    the scorer stumbles over `unparsable`, one that takes over `DEADLINE` seconds `timeout`, and one whose worker dies
    `failed`; the other answers are unharmed.
    """
    found: list[Status] = []
    with _lock:
        while len(found) < len(items):
            found += _ask(items[len(found) :])
    return found


def _ask(items: Sequence[Item]) -> list[Status]:
    """The statuses of the first items, at least one: as many as there are until the worker had to be stopped."""
    done: list[Status] = []
    pipe = _running().pipe
    try:
        pipe.send(list(items))
        for _ in items:
            if not pipe.poll(DEADLINE):
                _stop()
                return [*done, "timeout"]
            done.append(json.loads(pipe.recv_bytes()))
    except (EOFError, OSError):
        _stop()
        return [*done, "failed"]
    return done


def _running() -> _Worker:
    global _worker
    if _worker is not None and _worker.process.poll() is not None:
        _stop()
    if _worker is None:
        ours, theirs = Pipe()
        with theirs:
            code = f"from spurious.tasks.gymscore import serve; serve({theirs.fileno()})"
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # some data sets print, and standard output is for our results
                pass_fds=[theirs.fileno()],
            )
        _worker = _Worker(process, ours)
        if not ours.poll(_START) or process.poll() is not None:
            _stop()
            raise SpuriousError(f"the process for reasoning-gym's scorers did not start within {_START:.0f} seconds")
        ours.recv_bytes()
    return _worker


def _stop() -> None:
    global _worker
    if _worker is not None:
        _worker.process.kill()
        _worker.process.wait()
        _worker.pipe.close()
        _worker = None


def close() -> None:
    """Stop the worker; a later answer starts a new one."""
    with _lock:
        _stop()


def _forget() -> None:
    """A forked child has not inherited the worker: it starts its own."""
    global _worker, _lock
    _worker, _lock = None, threading.Lock()


atexit.register(close)
os.register_at_fork(after_in_child=_forget)


def serve(descriptor: int) -> None:
    """The worker: answer requests from the pipe, one after the other, until it is closed."""
    import reasoning_gym  # noqa: F401  # slow, and no answer's time is running yet

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with Connection(descriptor) as pipe:
        pipe.send_bytes(b"ready")
        while True:
            try:
                items = pipe.recv()
            except EOFError:
                return
            for metadata, answer in items:
                pipe.send_bytes(json.dumps(_score(metadata, answer)).encode())


def _score(metadata: Mapping[str, Any], answer: str) -> Status:
    if len(answer) > MAX_ANSWER:
        return "limit"
    dataset = _dataset(metadata["dataset"], json.dumps(metadata["config"], sort_keys=True))
    try:
        return "correct" if dataset.score_answer(answer, metadata["entry"]) == 1.0 else "wrong"
    except MemoryError:
        return "limit"
    except _UNREADABLE:
        return "unparsable"


@lru_cache(maxsize=16)
def _dataset(name: str, config: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(name, size=1, seed=0, **json.loads(config))
