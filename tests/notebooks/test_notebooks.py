"""The notebooks a reader opens, run with small settings in place of those in their own cell of settings."""

import importlib
import importlib.util
import json
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("marimo") is None, reason="the extra `notebooks` is not installed"),
    pytest.mark.filterwarnings("ignore"),  # marimo's own
]
SMALL = {
    "task": {"chain": {"steps": 1, "size": 16}},
    "steps": 2,
    "sampling": {"max_tokens": 8},
    "grpo": {"prompts_per_rollout": 4, "group_size": 4, "updates_per_rollout": 2},
}
BENCH = {"task": {"chain": {"steps": 1, "size": 4}}, "max_tokens": 8}


@pytest.fixture
def opened(monkeypatch):
    """A notebook by name, as marimo runs it."""
    monkeypatch.syspath_prepend(NOTEBOOKS)
    return lambda name: importlib.import_module(name).app


@pytest.mark.slow
def test_a_placebo(opened, organism_dirs, tmp_path):
    models = {name: str(organism_dirs[name]) for name in ("qwen2", "llama")}
    settings = {"store": tmp_path, "models": models, "seeds": [1, 2], "training": SMALL, "bench": BENCH}
    outputs, names = opened("placebo").run(defs=settings)
    runs = names["done"].cells
    assert {(cell.arm, cell.model, cell.seed, cell.state) for cell in runs} == {
        (arm, model, seed, "done") for arm in ("coin", "python", "nothing") for model in models for seed in (1, 2)
    }
    effects = {(one.treatment, one.placebo, one.model): one.comparison for one in names["found"].effects}
    assert effects.keys() == {(arm, "nothing", model) for arm in ("coin", "python") for model in models}
    assert all(one.n_seeds == 2 for one in effects.values())
    assert set(names["moved"]["model"]) == set(models)
    assert outputs[-1] is not None


@pytest.mark.slow
def test_an_audit_of_a_reward_written_in_a_cell(opened, organism_dirs, tmp_path):
    models = {name: str(organism_dirs[name]) for name in ("qwen2", "llama")}
    settings = {"store": tmp_path, "models": models, "seeds": [1, 2], "training": SMALL, "bench": BENCH}
    _, names = opened("audit").run(defs=settings)
    kept = json.loads((tmp_path / "studies" / "audit-notebook" / "audit.json").read_text())
    assert kept["verdict"] == names["conclusion"].verdict.word == "underpowered"  # random weights learn nothing
    assert set(names["conclusion"].levels) == set(models)
    (manifest,) = (json.loads(path.read_text()) for path in tmp_path.glob("pay--qwen2--s1--*/manifest.json"))
    assert manifest["reward_source"] == (tmp_path / "pay.py").read_text()
