"""Studies run for real, in processes of their own: through kills, a full disk and a second parent."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest
import yaml

from spurious.store import Run
from spurious.store.state import run_state
from spurious.study import open_study
from spurious.study.cells import expand
from spurious.study.launch import Watch, run_study
from spurious.study.record import folder
from spurious.study.spec import resolve

pytestmark = pytest.mark.slow

STEPS = 36
"""Enough that a run can be caught at work."""
SAVE_EVERY = 4
SEEDS = 12
"""Of the grid that is disturbed: with two arms, 24 runs."""


def write(small, model, path, steps=STEPS, seeds=1, **changes):
    fields = small(model, seeds=seeds, **changes)
    fields["base"] = {**fields["base"], "steps": steps, "save_every": SAVE_EVERY}
    path.write_text(yaml.safe_dump(fields))
    return resolve(fields)


def command(path, store, *more):
    return [sys.executable, "-m", "spurious", "study", "run", str(path), "--store", str(store), "--jobs", "2", *more]


def run(path, store, *more):
    return subprocess.run(command(path, store, *more), capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def start(tmp_path_factory):
    """Starts the command beside the test; `said()` is what it wrote to standard error."""
    started = []

    def call(path, store, *more):
        said = tmp_path_factory.mktemp("said") / "stderr"
        with said.open("w") as errors:
            process = subprocess.Popen(command(path, store, *more), stdout=subprocess.DEVNULL, stderr=errors)
        process.said = said.read_text
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait()


def wait_for_steps(store, steps, process, *, attempt=1, runs=2):
    """The directories of the runs under way, once so many of them have stored so many steps in this attempt or later.

    Who has just opened a run may not have written the new attempt yet: its steps are then those of the one before.
    """
    deadline = time.monotonic() + 120
    while True:
        states = {one.parent: run_state(one.parent) for one in store.glob("*--*/manifest.json")}
        far = [one for one, state in states.items() if state.state == "running" and state.steps >= steps]
        working = [one for one in far if len(attempts(one)) >= attempt]
        if len(working) >= runs:
            return working
        assert process.poll() is None, process.said()
        assert time.monotonic() < deadline, states
        time.sleep(0.01)


def contents(store):
    """The bytes of every result by run; what depends on the clock is left out of the metrics."""
    found = {}
    for path in sorted(store.glob("*--*/**/*")):
        name = path.relative_to(store)
        if path.is_file() and name.parts[1] in ("rollouts", "evals", "checkpoints", "DONE"):
            found[str(name)] = path.read_bytes()
        if path.name == "metrics.jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found[str(name)] = [{k: v for k, v in row.items() if not k.startswith("seconds/")} for row in rows]
    return found


def attempts(directory):
    return json.loads((directory / "manifest.json").read_text())["attempts"]


def undisturbed_grid(small, model, root, seeds):
    """The study's file, and what its grid holds when nothing happens to it."""
    write(small, model, root / "small.yaml", seeds=seeds)
    done = run(root / "small.yaml", root / "store")
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines() == [str(root / "store" / "studies" / "small")]  # quiet off a terminal
    assert f"{2 * seeds} done" in done.stdout
    return root / "small.yaml", contents(root / "store")


@pytest.fixture(scope="module")
def undisturbed(small, organism_dir, tmp_path_factory):
    """A grid of 24 runs."""
    return undisturbed_grid(small, organism_dir, tmp_path_factory.mktemp("undisturbed"), SEEDS)


@pytest.fixture(scope="module")
def undisturbed_four(small, organism_dir, tmp_path_factory):
    """A grid of four runs."""
    return undisturbed_grid(small, organism_dir, tmp_path_factory.mktemp("undisturbed_four"), 2)


def test_stopped_killed_and_started_again_the_grid_comes_to_the_same_bytes(undisturbed, start, tmp_path):
    path, expected = undisturbed

    stopped = start(path, tmp_path)
    working = wait_for_steps(tmp_path, 4, stopped)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(60) == 143
    assert "goes on where this one stopped" in stopped.said()
    assert [attempts(one)[-1]["status"] for one in working] == ["interrupted", "interrupted"]

    killed = start(path, tmp_path)
    wait_for_steps(tmp_path, 8, killed, attempt=2)
    killed.kill()
    killed.wait()

    # At once: what the dead parent's runs still hold is waited for, never written twice.
    again = start(path, tmp_path)
    working = wait_for_steps(tmp_path, 12, again, attempt=3, runs=1)
    os.kill(attempts(working[0])[-1]["pid"], signal.SIGKILL)
    assert again.wait(300) == 0, again.said()
    assert "killed by SIGKILL" in again.said()
    assert contents(tmp_path) == expected
    starts = [attempt["start_step"] for attempt in attempts(working[0])]
    assert len(starts) == 4
    assert starts == sorted(starts)
    assert starts[-1] >= 12 - SAVE_EVERY  # step 12 was stored, its checkpoint perhaps not yet


def test_two_parents_share_the_work(undisturbed_four, start, tmp_path):
    path, expected = undisturbed_four
    parents = [start(path, tmp_path), start(path, tmp_path)]
    assert [parent.wait(300) for parent in parents] == [0, 0], [parent.said() for parent in parents]
    assert contents(tmp_path) == expected
    for directory in tmp_path.glob("*--*"):
        assert [attempt["status"] for attempt in attempts(directory)] == ["done"]


def test_a_full_disk_is_named_and_loses_nothing(undisturbed_four, tmp_path):
    path, expected = undisturbed_four
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small tmpfs: {mounted.stderr.strip()}")
    try:
        full = run(path, tmp_path)
        assert full.returncode == 1
        assert f"{tmp_path}: no space left" in full.stderr
        assert not list(tmp_path.glob("*--*/DONE"))
        subprocess.run(["mount", "-o", "remount,size=500m", str(tmp_path)], check=True)
        done = run(path, tmp_path)
        assert done.returncode == 0, done.stderr
        assert contents(tmp_path) == expected
        assert not list(tmp_path.rglob("*.failed.json"))
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)  # a helper process may be about to end


def test_a_run_that_fails_does_not_stop_the_others(small, organism_dir, tmp_path):
    reward = tmp_path / "bad.py"
    reward.write_text("def pay(completions, **_):\n    return [0.0] if len(completions) == 4 else None\n")
    arms = {
        "bad": {"role": "control", "reward": f"{reward}:pay"},
        "coin": {"role": "placebo", "reward": "random"},
    }
    write(small, organism_dir, tmp_path / "small.yaml", steps=1, arms=arms)
    result = run(tmp_path / "small.yaml", tmp_path / "store")
    assert result.returncode == 1
    assert "1 failed, 1 are done" in result.stderr
    assert "bad on organism, seed 0" in result.stderr
    bad, coin = open_study(tmp_path / "store" / "studies" / "small").cells
    assert (bad.state, coin.state) == ("failed", "done")
    assert "1 values for 4 completions" in bad.error
    assert f"log: {bad.log}" in result.stderr
    assert "RewardError" in bad.log.read_text()


def test_a_run_that_another_process_writes_is_waited_for(small, organism_dir, tmp_path):
    arms = {"coin": {"role": "placebo", "reward": "random"}}
    study = write(small, organism_dir, tmp_path / "small.yaml", steps=1, arms=arms)
    (one,) = expand(study, tmp_path / "store")
    holder = Run(one.cell.directory, one.identity)

    class Release(Watch):
        def __init__(self):
            self.said = []

        def say(self, message):
            self.said.append(message)
            holder.__exit__(None, None, None)

    watch = Release()
    outcome = run_study(study, tmp_path / "store", watch=watch)
    assert watch.said == ["coin on organism, seed 0: running elsewhere; waiting for it"]
    assert (outcome.done, outcome.complete) == (1, True)
    assert [attempt["status"] for attempt in attempts(one.cell.directory)] == ["running", "done"]


def test_an_organism_is_built_where_it_is_needed(small, organism_dir, tmp_path):
    recipe = yaml.safe_load(
        (Path(__file__).parents[2] / "src/spurious/organisms/recipes/good-code.yaml").read_text(encoding="utf-8")
    )
    recipe |= {"name": "tiny", "training": {"updates": 2, "warmup": 1, "batch": 4}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    models = {"tiny": {"organism": str(tmp_path / "tiny.yaml")}}
    arms = {"coin": {"role": "placebo", "reward": "random"}}
    study = write(small, organism_dir, tmp_path / "small.yaml", steps=1, models=models, arms=arms)
    store = tmp_path / "store"
    shown = []

    class Note(Watch):
        def show(self, done, total, running, remaining):
            shown.append((done, total, [worker.title for worker in running], remaining))

    outcome = run_study(study, store, watch=Note())
    assert outcome.complete
    (cell,) = open_study(folder(store, study.name)).cells
    assert (cell.state, cell.fingerprint is not None) == ("done", True)
    assert (store / "organisms" / "tiny" / "organism.json").exists()
    titles = [title for _, _, running, _ in shown for title in running]
    assert titles.index("organism tiny") < titles.index("coin on tiny, seed 0")
    assert shown[-1][:2] == (1, 1)
    assert not list((folder(store, study.name) / "logs").glob("*.failed.json"))
    first = next(counter for counter in count() if shown[counter][2])
    assert shown[first][3] is None  # nothing is known yet, and nothing is made up
