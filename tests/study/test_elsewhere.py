"""Studies whose runs are processes on other machines: of a Ray cluster that loses a node, of Slurm's local stand-in."""

import os
import threading
import time
from pathlib import Path

import pytest
from test_launch import attempts, contents, write

from spurious.errors import SpecError
from spurious.store.state import run_state
from spurious.study.elsewhere import Elsewhere, Needs, Ray, Slurm
from spurious.study.launch import Watch, run_study
from spurious.study.places import placed
from spurious.study.remote import work

NOTHING = {"do": "organism", "recipe": {}, "store": ".", "data": None}


class Threads:
    """A job that a thread waits for."""

    def __init__(self, asked):
        self.status = None
        self.thread = threading.Thread(target=lambda: setattr(self, "status", work(asked)))
        self.thread.start()

    def over(self):
        return not self.thread.is_alive()

    def end(self):
        raise AssertionError("nobody asks for it")

    def death(self):
        return f"status {self.status}"


def test_a_process_elsewhere_says_how_it_ended(tmp_path):
    request = {**NOTHING, "directory": str(tmp_path / "out")}
    log, reports = tmp_path / "log", tmp_path / "reports"
    one = Elsewhere("none", log, reports, Threads(Needs(cpus=2).asked(request, log, reports))).follow()
    while one.read():
        pass
    one.close()
    assert one.ending == "failed"
    assert "name" in one.error
    assert "Traceback" in log.read_text()
    assert not reports.exists()


class Fake:
    """A job of which the test says when it is over."""

    def __init__(self):
        self.is_over = False

    def over(self):
        return self.is_over

    def end(self):
        self.is_over = True

    def death(self):
        return "its machine was lost"


def test_reports_come_line_by_line_and_a_lost_job_says_nothing(tmp_path):
    job = Fake()
    one = Elsewhere("run", tmp_path / "log", tmp_path / "reports", job).follow()
    with (tmp_path / "reports").open("w") as file:
        file.write('{"log": "l", "stage": "train", "done": 1, "total": 3}\n{"stage": "train", "do')
        file.flush()
        assert one.read()
        assert (one.first, one.done, one.total) == (1, 1, 3)
        file.write('ne": 2, "total": 3}\n')
    assert one.read()
    assert one.done == 2
    one.ask_to_stop()
    assert not one.read()
    one.close()
    assert (one.ending, one.error) == ("killed", "its machine was lost")


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("moon", {}, "--on moon: there are local, ray, slurm"),
        ("local", {"cpus": 2}, "--cpus, --gpus: only for"),
        ("local", {"address": "auto"}, "--address auto: only --on ray"),
        ("ray", {"slurm": {"timeout_min": 1}}, "--slurm.timeout_min: only --on slurm"),
    ],
)
def test_what_a_place_has_not_is_refused(tmp_path, name, more, said):
    with pytest.raises(SpecError, match=said), placed(name, tmp_path, **more):
        pass


class Said(Watch):
    def __init__(self):
        self.messages = []

    def say(self, message):
        self.messages.append(message)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_that_loses_a_node_comes_to_the_bytes_of_one_machine(small, organism_dir, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="studies on Ray need it: pip install 'spurious[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")  # by default workers give way to all else, here to other tests

    study = write(small, organism_dir, tmp_path / "small.yaml", steps=60, seeds=2)
    alone = tmp_path / "alone"
    assert run_study(study, alone).complete
    memory = 80 * 2**20
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False},
    )
    try:
        store, watch, done = tmp_path / "clustered", Said(), []
        with Ray(Needs(), cluster.address) as ray:  # before the second node is there: it is the first that we belong to
            second = cluster.add_node(num_cpus=1, object_store_memory=memory)
            study_thread = threading.Thread(target=lambda: done.append(run_study(study, store, watch=watch, place=ray)))
            study_thread.start()
            raylet = second.all_processes["raylet"][0].process.pid
            wait_for(lambda: any(started_by(one, raylet) for one in working(store, 4)), study_thread)
            cluster.remove_node(second, allow_graceful=False)
            study_thread.join(300)
        assert done[0].complete
        assert done[0].done == 4
    finally:
        cluster.shutdown()
    assert contents(store) == contents(alone)
    assert any("lost" in message and message.endswith("it goes on") for message in watch.messages)
    assert sorted(len(attempts(one.parent)) for one in store.glob("*--*/manifest.json")) == [1, 1, 1, 2]


def working(store, steps):
    """Directories of runs that are being written and have stored so many steps."""
    found = {one.parent: run_state(one.parent) for one in store.glob("*--*/manifest.json")}
    return [one for one, state in found.items() if state.state == "running" and state.steps >= steps]


def started_by(directory, raylet):
    """Whether a run's process is the child of a worker of this node."""
    try:
        worker = parent_of(attempts(directory)[-1]["pid"])
        return parent_of(worker) == raylet
    except FileNotFoundError:  # it has just ended
        return False


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for(condition, thread):
    deadline = time.monotonic() + 240
    while not condition():
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_slurms_jobs_come_to_the_bytes_of_one_machine(small, organism_dir, tmp_path):
    pytest.importorskip("submitit", reason="studies on Slurm need submitit: pip install 'spurious[slurm]'")
    study = write(small, organism_dir, tmp_path / "small.yaml", steps=4, seeds=1)
    assert run_study(study, tmp_path / "alone").complete
    watch = Said()
    with Slurm(Needs(), tmp_path / "scripts", cluster="local") as slurm:
        outcome = run_study(study, tmp_path / "clustered", watch=watch, place=slurm)
    assert outcome.complete
    assert (outcome.done, watch.messages) == (2, [])
    assert contents(tmp_path / "clustered") == contents(tmp_path / "alone")
    assert list((tmp_path / "scripts").glob("*.pkl"))


@pytest.mark.filterwarnings("ignore")
def test_slurm_that_is_not_there_is_said_so(tmp_path):
    pytest.importorskip("submitit", reason="studies on Slurm need submitit: pip install 'spurious[slurm]'")
    if os.access("/usr/bin/srun", os.X_OK):
        pytest.skip("there is a Slurm here")
    with pytest.raises(SpecError, match="--on slurm: "), placed("slurm", Path(tmp_path)):
        pass
