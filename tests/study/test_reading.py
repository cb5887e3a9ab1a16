"""A study opened for reading: states, tables and its folder."""

import os
import threading

import polars as pl
import pytest

from spurious.analysis import outcome
from spurious.errors import LockedError, StoreError
from spurious.grpo.trainer import train
from spurious.store import Identity, Run
from spurious.store.state import is_locked, run_state
from spurious.study import open_study
from spurious.study.cells import expand
from spurious.study.costs import Costs
from spurious.study.parts import METRICS
from spurious.study.plan import plan_studies
from spurious.study.record import Failure, clear_failure, declarations, folder, read_study, write_failure, write_study
from spurious.study.spec import resolve

IDENTITY = Identity("aaaaaaaa", {"seed": 0, "steps": 4}, {"model": "1"}, {})


@pytest.fixture(scope="module")
def done(small, organism_dir, tmp_path_factory):
    """A study with both arms of seed 0 run, and a third arm that is the same run as the coin."""
    store = tmp_path_factory.mktemp("store")
    fields = small(organism_dir)
    fields["arms"]["same coin"] = {"role": "control", "reward": "random"}
    study = resolve(fields)
    planned = expand(study, store)
    for one in planned[:2]:
        train(one.spec, store=store)
    write_study(store, study, [one.cell for one in planned], 0)
    return store, study


def test_states_of_a_run(tmp_path):
    place = tmp_path / "r"
    assert run_state(place).state == "owed"
    with Run(place, IDENTITY) as run:
        assert is_locked(place)
        run.write_metrics({"step": 0})
        assert run_state(place).state == "running"
        assert run_state(place).steps == 1
    assert not is_locked(place)
    assert run_state(place).state == "owed"  # cut off without a word, as by kill -9
    with pytest.raises(ArithmeticError), Run(place, IDENTITY):
        raise ArithmeticError("boom")
    assert run_state(place).state == "failed"
    assert "boom" in run_state(place).error
    assert "boom" in run_state(place).log.read_text()
    with pytest.raises(KeyboardInterrupt), Run(place, IDENTITY):
        raise KeyboardInterrupt
    assert run_state(place).state == "owed"
    with Run(place, IDENTITY) as run:
        run.finish()
    assert run_state(place).state == "done"
    assert run_state(place).error == ""


def test_looking_does_not_keep_a_writer_out(tmp_path):
    """Whoever asks whether a run is locked holds its lock for an instant; a writer that comes then must get it."""
    with Run(tmp_path, IDENTITY):
        pass
    stop = threading.Event()

    def look():
        while not stop.is_set():
            is_locked(tmp_path)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(50):
            with Run(tmp_path, IDENTITY):
                pass
    finally:
        stop.set()
        watcher.join()
    with Run(tmp_path, IDENTITY), pytest.raises(LockedError, match="another process"):
        Run(tmp_path, IDENTITY)


def test_the_time_of_a_killed_attempt_ends_with_its_last_word(tmp_path):
    with Run(tmp_path, IDENTITY) as run:
        run.say("working")
        started = run.log.stat().st_mtime
        os.utime(run.log, (started + 30, started + 30))
    assert 29 <= run_state(tmp_path).seconds <= 32


def test_tables_hold_done_runs_only_and_say_whose_rows_they_are(done):
    store, study = done
    opened = open_study(folder(store, study.name))
    assert [cell.state for cell in opened.cells] == ["done", "done", "done", "owed", "owed", "owed"]
    evals = opened.evals()
    assert set(evals["arm"]) == {"truth", "coin", "same coin"}
    assert evals.select("arm", "role", "model", "seed").unique().height == 3
    assert set(evals["seed"]) == {0}
    assert set(evals["bench"]) == {"chain"}
    assert set(evals["step"]) == {0, 2}
    assert evals.height == 3 * 2 * 4
    coin, same = (evals.filter(pl.col("arm") == arm).drop("arm", "role") for arm in ("coin", "same coin"))
    assert coin.equals(same)
    assert opened.metrics().height == 3 * 2
    rollouts = opened.rollouts()
    assert rollouts.height == 3 * 2 * 16
    truth, coin = (rollouts.filter(pl.col("arm") == arm, pl.col("step") == 0) for arm in ("truth", "coin"))
    assert truth["text"].to_list() == coin["text"].to_list()  # the same noise: their difference is paired


def test_from_the_file_and_from_the_folder_the_grid_is_the_same(small, organism_dir, done, tmp_path):
    store, study = done
    path = tmp_path / "small.yaml"
    path.write_text((folder(store, study.name) / "study.yaml").read_text())
    from_file, from_folder = open_study(path, store), open_study(folder(store, study.name))
    assert from_file.spec == from_folder.spec == study
    for one, other in zip(from_file.cells, from_folder.cells, strict=True):
        assert one.fingerprint == other.fingerprint
        assert one.directory.resolve() == other.directory.resolve()


def test_nothing_is_done_yet(small, organism_dir, tmp_path):
    path = tmp_path / "s.yaml"
    study = resolve(small(organism_dir))
    write_study(tmp_path, study, [one.cell for one in expand(study, tmp_path)], 0)
    opened = open_study(folder(tmp_path, study.name))
    assert opened.evals().is_empty()
    assert opened.metrics().is_empty()
    with pytest.raises(StoreError, match="not the folder of a study"):
        open_study(tmp_path)
    assert not path.exists()


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_computed_from_stored_rows(done, metric):
    store, study = done
    values = open_study(folder(store, study.name)).evals().select(outcome(metric).alias("value"))["value"]
    assert values.null_count() == 0
    assert values.is_finite().all()


def test_finished_runs_tell_what_others_will_cost(done, small, organism_dir):
    store, study = done
    planned = expand(study, store)
    seconds = run_state(planned[0].cell.directory).seconds
    costs = Costs(store)
    assert costs.run(planned[3].identity) == seconds  # the same arm with another seed
    arm_unseen = small(organism_dir, arms={"new": {"role": "control", "reward": "format"}})
    assert costs.run(expand(resolve(arm_unseen), store)[0].identity) is not None
    longer = small(organism_dir)
    longer["base"] = {**longer["base"], "steps": 9}
    assert costs.run(expand(resolve(longer), store)[0].identity) is None
    (plan,) = plan_studies([study], store)
    assert (plan.runs, plan.done, plan.owed) == (4, 2, 2)
    assert plan.seconds is not None


def test_what_was_declared_is_kept_when_it_changes(small, organism_dir, tmp_path):
    first = resolve(small(organism_dir))
    second = resolve(small(organism_dir, expectation="I knew it."))
    write_study(tmp_path, first, [], 0)
    write_study(tmp_path, first, [], 3)
    write_study(tmp_path, second, [], 4)
    kept = declarations(folder(tmp_path, first.name))
    assert [(one["expectation"], one["done"]) for one in kept] == [("It does not.", 0), ("I knew it.", 4)]
    assert read_study(folder(tmp_path, first.name))[0] == second


def test_a_failure_that_the_run_could_not_write_down_is_remembered(small, organism_dir, tmp_path):
    study = resolve(small(organism_dir, seeds=1))
    cells = [one.cell for one in expand(study, tmp_path)]
    write_study(tmp_path, study, cells, 0)
    write_failure(tmp_path, study.name, cells[0].fingerprint, Failure("killed", "some.log"))
    first, second = open_study(folder(tmp_path, study.name)).cells
    assert (first.state, first.error, str(first.log)) == ("failed", "killed", "some.log")
    assert second.state == "owed"
    clear_failure(tmp_path, study.name, cells[0].fingerprint)
    assert open_study(folder(tmp_path, study.name)).cells[0].state == "owed"
