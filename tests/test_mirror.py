"""Trackers that mirror a run: what they show is what the run directory says."""

import json
from pathlib import Path

import pytest

from spurious.errors import SpecError
from spurious.mirror import TRACKERS, mirror, numbers_by_step
from spurious.store import Identity, Run
from spurious.store.tables import COMPLETION_COLUMNS, frame

STEPS = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with metrics, a histogram among them, and an evaluation."""
    root = tmp_path_factory.mktemp("store")
    spec = {"model": "m", "reward": {"name": "random"}, "label": {"name": "true"}, "seed": 0, "steps": STEPS}
    with Run(root / "random--m--s0--00000000", Identity("00000000", spec, {}, {})) as run:
        for step in range(STEPS):
            run.write_metrics({"step": step, "reward/mean": step / 4, "ratio/histogram": [1, 2], "kl/to_start": None})
        rows = [completion(sample, "correct" if sample else "wrong") for sample in range(4)]
        run.write_eval(0, "chain", frame(rows, COMPLETION_COLUMNS))
        run.finish()
    return root


def completion(sample: int, grade: str) -> dict[str, object]:
    return {
        "step": 0,
        "problem_id": f"p{sample}",
        "kind": "",
        "copy": 0,
        "sample": 0,
        "prompt": "?",
        "text": r"\boxed{1}",
        "n_tokens": 3,
        "stop": "eos",
        "answer": "1",
        "grade": grade,
        "extracted": "1",
        "strict_grade": grade,
        "logprob": -1.0,
    }


def test_numbers_are_the_finite_ones_of_every_step(store: Path) -> None:
    steps = dict(numbers_by_step(next(store.iterdir())))
    assert sorted(steps) == [0, 1, 2]
    assert steps[1] == {"reward/mean": 0.25}
    assert steps[0]["eval/chain/accuracy"] == 0.75


def test_tensorboard_reads_them_back_and_a_second_mirror_replaces_the_first(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'spurious[track]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        (name,) = mirror(store, "tensorboard", tmp_path)
    read = EventAccumulator(str(tmp_path / "spurious" / name)).Reload()
    assert [(one.step, one.value) for one in read.Scalars("reward/mean")] == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert [one.value for one in read.Scalars("eval/chain/accuracy")] == [0.75]


@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_an_offline_run(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="pip install 'spurious[track]'")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    mirror(store, "wandb", tmp_path)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert b"reward/mean" in file.read_bytes()
    assert b"eval/chain/accuracy" in file.read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_a_local_project(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))  # read when trackio is imported
    pytest.importorskip("trackio", reason="pip install 'spurious[trackio]', without constraints.txt")
    mirror(store, "trackio", tmp_path)
    assert list(tmp_path.rglob("*.db"))


def test_unknown_and_missing_trackers_are_said_so(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="--to paper: there are tensorboard, wandb, trackio"):
        mirror(store, "paper", tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(SpecError, match="pip install 'spurious"):
        mirror(store, "tensorboard", tmp_path)
    assert set(TRACKERS) == {"tensorboard", "wandb", "trackio"}
    assert json.loads((next(store.iterdir()) / "metrics.jsonl").read_text().splitlines()[0])["step"] == 0
