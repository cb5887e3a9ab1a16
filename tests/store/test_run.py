import json

import polars as pl
import pytest

import spurious
from spurious.errors import StoreError
from spurious.store import Identity, Run

SPEC = {"model": "m", "reward": {"name": "random"}, "label": {"name": "true"}, "seed": 0, "steps": 4}


def identity(fingerprint="aaaaaaaa", **spec):
    return Identity(fingerprint, {**SPEC, **spec}, {"model": "1"}, {"operators": ["none"]})


def table(step):
    return pl.DataFrame({"step": [step], "text": ["hi"]})


def do_step(run, step):
    run.write_rollouts(step, table(step))
    run.write_metrics({"step": step, "reward/mean": 0.5})


def state(text):
    def write(directory):
        (directory / "model.safetensors").write_text(text)

    return write


def files(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


def test_a_crash_is_cut_back_to_the_last_checkpoint(tmp_path):
    with Run(tmp_path / "r", identity()) as run:
        assert run.start_step == 0
        assert run.checkpoint is None
        run.write_eval(0, "chain", table(0))
        for step in range(3):
            do_step(run, step)
            if step == 1:
                run.write_eval(2, "chain", table(2))
                run.write_checkpoint(2, state("two"))
        run.write_eval(3, "chain", table(3))
    (tmp_path / "r" / "rollouts" / ".tmp-000003.parquet").write_bytes(b"half")
    with (tmp_path / "r" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "rew')

    with Run(tmp_path / "r", identity()) as run:
        assert run.start_step == 2
        assert (run.checkpoint / "model.safetensors").read_text() == "two"
        assert run.has_eval(2, "chain")
        assert not run.has_eval(3, "chain")
        do_step(run, 2)
    rows = [json.loads(line)["step"] for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert rows == [0, 1, 2]
    assert [f for f in files(tmp_path / "r") if "tmp" in f] == []
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert [attempt["start_step"] for attempt in manifest["attempts"]] == [0, 2]


def test_only_the_last_two_checkpoints_stay(tmp_path):
    with Run(tmp_path / "r", identity()) as run:
        for step in range(1, 5):
            run.write_checkpoint(step, state(str(step)))
        run.finish()
        assert run.done
    assert sorted(p.name for p in (tmp_path / "r" / "checkpoints").iterdir()) == ["000003", "000004"]


def test_a_checkpoint_that_a_crash_has_kept_too_long_goes_too(tmp_path, monkeypatch):
    with Run(tmp_path / "r", identity()) as run:
        for step in (1, 2):
            run.write_checkpoint(step, state(str(step)))
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("spurious.store.run.remove_whole", ctrl_c)
            run.write_checkpoint(3, state("3"))
    assert len(list((tmp_path / "r" / "checkpoints").iterdir())) == 3
    with Run(tmp_path / "r", identity()) as run:
        assert run.start_step == 3
    assert sorted(p.name for p in (tmp_path / "r" / "checkpoints").iterdir()) == ["000002", "000003"]


def ctrl_c(_):
    raise KeyboardInterrupt


def test_a_finished_run_is_not_attempted_again(tmp_path):
    with Run(tmp_path / "r", identity()) as run:
        run.write_checkpoint(4, state("x"))
        run.finish()
    before = (tmp_path / "r" / "manifest.json").read_bytes()
    with Run(tmp_path / "r", identity()) as run:
        assert run.done
        assert run.start_step == 4
    assert (tmp_path / "r" / "manifest.json").read_bytes() == before


def test_another_spec_is_refused_and_the_difference_named(tmp_path):
    with Run(tmp_path / "r", identity()):
        pass
    with pytest.raises(StoreError, match=r"seed \(0, now 1\)"):
        Run(tmp_path / "r", identity("bbbbbbbb", seed=1))


def test_two_writers_are_refused(tmp_path):
    with Run(tmp_path / "r", identity()), pytest.raises(StoreError, match="another process"):
        Run(tmp_path / "r", identity())
    with Run(tmp_path / "r", identity()):
        pass


def test_a_strange_directory_is_left_alone(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.tex").write_text("years")
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        Run(tmp_path / "r", identity())
    assert (tmp_path / "r" / "thesis.tex").read_text() == "years"


@pytest.mark.parametrize("damage", ["flip", "truncate", "missing", "digests"])
def test_a_damaged_checkpoint_is_named_and_refused(tmp_path, damage):
    with Run(tmp_path / "r", identity()) as run:
        run.write_checkpoint(1, state("good weights"))
    file = tmp_path / "r" / "checkpoints" / "000001" / "model.safetensors"
    if damage == "flip":
        file.write_text("gopd weights")
    elif damage == "truncate":
        file.write_text("good")
    elif damage == "missing":
        file.unlink()
    else:
        (file.parent / "digests.json").write_text("{")
    with pytest.raises(StoreError, match="000001"):
        Run(tmp_path / "r", identity())


def test_a_damaged_manifest_is_named(tmp_path):
    with Run(tmp_path / "r", identity()):
        pass
    (tmp_path / "r" / "manifest.json").write_text('{"fing')
    with pytest.raises(StoreError, match=r"manifest\.json: damaged"):
        Run(tmp_path / "r", identity())


def test_a_failed_attempt_is_on_record(tmp_path):
    with pytest.raises(ZeroDivisionError), Run(tmp_path / "r", identity()):
        _ = 1 / 0
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["attempts"][0]["status"] == "failed"
    assert "ZeroDivisionError" in manifest["attempts"][0]["error"]
    assert "1 / 0" in (tmp_path / "r" / "logs" / "attempt-1.log").read_text()


def test_load_gives_the_tables(tmp_path):
    with Run(tmp_path / "store" / "r", identity()) as run:
        run.write_eval(0, "chain-k8", table(0))
        do_step(run, 0)
        run.write_checkpoint(1, state("x"))
        run.finish()
    tables = spurious.load(tmp_path)
    assert tables.runs["done"].to_list() == [True]
    assert tables.metrics.select("step", "run").rows() == [(0, "aaaaaaaa")]
    assert tables.rollouts["text"].to_list() == ["hi"]
    assert tables.evals["bench"].to_list() == ["chain-k8"]


def test_load_of_nothing_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="no run directory"):
        spurious.load(tmp_path)


def ctrl_c_in_a_library():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as stop:
        raise RuntimeError("callback failed") from stop


@pytest.mark.parametrize(
    ("work", "status"),
    [(ctrl_c_in_a_library, "interrupted"), (lambda: 1 / 0, "failed")],
)
def test_an_attempt_says_how_it_ended(tmp_path, work, status):
    with pytest.raises((RuntimeError, ZeroDivisionError)), Run(tmp_path / "r", identity()):
        work()
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["attempts"][-1]["status"] == status


@pytest.mark.parametrize("place", ["metrics.jsonl", "rollouts/000000.parquet", "checkpoints/000002", "evals"])
def test_a_link_in_a_run_directory_is_refused(tmp_path, place):
    with Run(tmp_path / "r", identity()) as run:
        do_step(run, 0)
        run.write_eval(0, "chain", table(0))
        run.write_checkpoint(2, state("two"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    linked = tmp_path / "r" / place
    linked.rename(tmp_path / "old")
    linked.symlink_to(elsewhere)
    with pytest.raises(StoreError, match=f"{place}: a symbolic link"):
        Run(tmp_path / "r", identity())
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\x00"])
def test_a_manifest_that_is_none_is_damaged(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=r"manifest\.json: damaged"):
        spurious.load(tmp_path).runs  # noqa: B018
