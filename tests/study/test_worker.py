"""What a process tells about itself, and what is made of it."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spurious.errors import disk_full
from spurious.grpo.trainer import train
from spurious.store import files
from spurious.store.state import run_state
from spurious.study.cells import expand
from spurious.study.spec import resolve
from spurious.study.worker import Worker, cores


@pytest.fixture
def worker(tmp_path):
    """A process that has nothing to do: its organism is asked for by a recipe that is none."""
    started = Worker("none", {"do": "organism", "recipe": {}, "directory": str(tmp_path / "out")}, tmp_path / "log")
    yield started
    started.ask_to_stop()
    started.close()


def test_a_wrong_request_is_reported_with_its_reason(worker):
    while worker.read():
        pass
    worker.close()
    assert worker.ending == "failed"
    assert "name" in worker.error
    assert "Traceback" in worker.log.read_text()


def test_a_killed_process_is_said_to_be_killed(worker):
    os.kill(worker._process.pid, signal.SIGKILL)
    while worker.read():
        pass
    worker.close()
    assert worker.ending == "killed"
    assert worker.error == "its process was killed by SIGKILL (out of memory?)"


def test_a_child_dies_with_its_parent(tmp_path):
    """The parent is killed outright while the child waits for another's lock: the child's end follows by itself."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from spurious.organisms import load_recipe\n"
        "from spurious.study.worker import Worker\n"
        "recipe = load_recipe('good-code').model_dump(mode='json')\n"
        "worker = Worker('none', {'do': 'organism', 'recipe': recipe, 'directory': sys.argv[1]}, Path(sys.argv[2]))\n"
        "print(worker._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out"), str(tmp_path / "log")]
    with (tmp_path / ".out.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            try:
                child = int(parent.stdout.readline())
                time.sleep(1)
                assert alive(child)
            finally:
                parent.kill()
        wait_for_end(child)


def wait_for_end(child):
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


def alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_the_time_left_is_the_pace_so_far(worker, monkeypatch):
    now = [worker._started]
    monkeypatch.setattr("spurious.study.followed.time.monotonic", lambda: now[0])

    def after(seconds, **report):
        now[0] += seconds
        worker._take({"note": "", "total": 12, **report})

    now[0] += 4
    assert worker.left(None) is None
    assert worker.left(25) == 21
    after(1, log="l", stage="train", done=4)  # resumed, and open after 5 s
    after(3, stage="evaluate chain", done=3, total=5)
    assert (worker.done, worker.note, worker.share) == (4, "3/5", 0)
    after(2, stage="evaluate chain", done=5, total=5)  # 5 s of evaluation
    assert worker.left(25) == 15
    after(10, stage="train", done=8)  # 2.5 s a step: 5 to open, 5 and 5 to evaluate, 20 for 8 steps
    assert worker.expected == 35
    assert worker.left(None) == 15
    assert worker.share == 20 / 35
    after(10, stage="train", done=12)
    assert worker.left(None) == 5  # the last evaluation
    now[0] += 1000
    assert worker.left(None) == 0
    assert worker.share == 1


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EACCES, "x"), False),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (ValueError("no"), False),
    ],
)
def test_a_full_disk_is_recognized(error, full):
    assert disk_full(error) is full
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = error
    assert disk_full(wrapped) is full


def test_cores_are_those_this_process_may_use():
    assert 1 <= cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("place", [1, 4, 9, 14, 19])
def test_a_disk_that_is_full_at_any_write_costs_nothing(small, organism_dir, tmp_path, monkeypatch, place):
    spec = expand(resolve(small(organism_dir, seeds=1)), tmp_path)[1].spec
    whole = train(spec, tmp_path / "whole")
    sync, calls = files.sync, []

    def full(path):
        calls.append(path)
        if len(calls) >= place:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(path)

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        train(spec, tmp_path / "broken")
    assert disk_full(caught.value)
    assert run_state(tmp_path / "broken").state != "done"
    monkeypatch.setattr(files, "sync", sync)
    again = train(spec, tmp_path / "broken")
    assert contents(again) == contents(whole)


def contents(directory):
    kept = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if path.is_file() and name.parts[0] in ("rollouts", "evals", "checkpoints", "DONE"):
            kept[str(name)] = path.read_bytes()
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return kept, [{k: v for k, v in row.items() if not k.startswith("seconds/")} for row in rows]
