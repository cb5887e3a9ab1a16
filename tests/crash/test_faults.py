"""Disks that take nothing more, signals, a clock that is set back: said by name, and nothing finished is lost."""

import errno
import io
import json
import os
import resource
import signal
from pathlib import Path

import pytest
from works import BENCH, RUN, of_runs, organism

from spurious.cli import main
from spurious.errors import disk_says
from spurious.grpo.trainer import train
from spurious.specs import RunSpec
from spurious.store import Run
from spurious.store.state import run_state


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    where = tmp_path_factory.mktemp("tiny")
    organism(where)
    return where / "model"


@pytest.fixture(scope="module")
def spec(model):
    return RunSpec.model_validate({**RUN, "model": str(model), "reward": "random", "benches": [BENCH], "steps": 2})


@pytest.fixture(scope="module")
def undisturbed(spec, tmp_path_factory):
    return of_runs(train(spec, tmp_path_factory.mktemp("undisturbed") / "run").parent)


def failing(monkeypatch, below, operation, code, at):
    """Let the at-th of these operations below a folder fail, and all after it."""
    module, name = {"open": (io, "open"), "replace": (os, "replace"), "fsync": (os, "fsync"), "mkdir": (os, "mkdir")}[
        operation
    ]
    real, seen = getattr(module, name), []

    def fail(first, *arguments, **more):
        writes = operation != "open" or any(mode in str((*arguments, *more.values())) for mode in ("'w", "'a", "+"))
        where = os.readlink(f"/proc/self/fd/{first}") if operation == "fsync" else str(first)
        if writes and where.startswith(str(below)):
            seen.append(where)
            if len(seen) > at:
                raise OSError(code, os.strerror(code), where)
        return real(first, *arguments, **more)

    monkeypatch.setattr(module, name, fail)
    return seen


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize(("operation", "at"), [("open", 3), ("replace", 6), ("fsync", 11), ("mkdir", 2)])
def test_a_disk_that_fails_is_named_and_loses_nothing(spec, undisturbed, tmp_path, operation, at, code):
    with pytest.MonkeyPatch.context() as patch:
        seen = failing(patch, tmp_path, operation, code, at)
        with pytest.raises(OSError, match=os.strerror(code)) as caught:
            train(spec, tmp_path / "run")
        assert len(seen) > at
        assert disk_says(caught.value) == os.strerror(code)
    assert run_state(tmp_path / "run").state != "done"
    train(spec, tmp_path / "run")
    assert of_runs(tmp_path) == undisturbed


def test_a_file_that_may_not_grow_is_said_in_one_line(model, tmp_path, capsys):
    """As `ulimit -f` and some quotas do it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        code, said = command(capsys, model, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 1
    assert said.startswith("spurious: File too large")
    assert said.count("\n") == 1
    assert "the same command goes on" in said
    assert command(capsys, model, tmp_path / "run")[0] == 0


def command(capsys, model, out):
    arguments = ["--task=chain", "--task.args.steps=1", "--task.args.size=16", "--reward=random", "--steps=3"]
    small = ["--grpo.prompts-per-rollout=2", "--grpo.group-size=4", "--sampling.max-tokens=8"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["train", f"--model={model}", f"--out={out}", "--grpo.updates-per-rollout=2", *arguments, *small])
    return end.value.code or 0, capsys.readouterr().err


@pytest.fixture
def interruptible():
    """Ctrl-C as on a terminal: a shell that starts the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_run_cleanly_and_it_goes_on(model, tmp_path, capsys, monkeypatch, signum, code):
    assert command(capsys, model, tmp_path / "whole" / "run")[0] == 0
    say, handler = Run.say, signal.getsignal(signum)

    def say_and_be_stopped(run, message):
        say(run, message)
        if message.startswith("step 1"):
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(Run, "say", say_and_be_stopped)
    stopped, said = command(capsys, model, tmp_path / "stopped" / "run")
    monkeypatch.undo()
    assert stopped == code
    assert said == "spurious: interrupted; the same command goes on where this one stopped\n"
    assert signal.getsignal(signum) == handler
    manifest = json.loads((tmp_path / "stopped" / "run" / "manifest.json").read_text())
    assert manifest["attempts"][0]["status"] == "interrupted"
    assert command(capsys, model, tmp_path / "stopped" / "run")[0] == 0
    assert of_runs(tmp_path / "stopped") == of_runs(tmp_path / "whole")


def test_a_clock_that_was_set_back_makes_no_time_negative(spec, tmp_path, monkeypatch):
    times = iter(f"2026-01-0{9 - day}T00:00:00+00:00" for day in range(8))
    monkeypatch.setattr("spurious.store.run._now", lambda: next(times))
    monkeypatch.setattr(Run, "say", lambda run, message: None)
    train(spec, tmp_path / "run")
    attempt = json.loads((tmp_path / "run" / "manifest.json").read_text())["attempts"][0]
    assert attempt["ended"] < attempt["started"]
    assert run_state(tmp_path / "run").seconds == 0
    assert run_state(tmp_path / "run").state == "done"


def test_a_run_in_a_folder_that_may_not_be_written_is_refused_by_name(spec, tmp_path, monkeypatch):
    def refuse(path, *arguments, **more):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="run"):
        train(spec, tmp_path / "run")
