"""Whole runs that train an adapter, or recompute activations: what DESIGN promises of a run holds of them too."""

import json
import sys
from importlib.util import find_spec

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import spurious
from spurious.cli import main
from spurious.errors import SpecError
from spurious.grpo.trainer import train
from spurious.policy.model import load
from spurious.specs import RunSpec

SMALL = {"prompts_per_rollout": 4, "group_size": 4, "updates_per_rollout": 2, "lr": 0.01}
LORA = {"lora": {"r": 4}}
BENCH = {"task": {"chain": {"steps": 1, "size": 5}}, "max_tokens": 12}

needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="needs the extra large")


def spec(model, **changes):
    fields = {
        "model": str(model),
        "task": {"chain": {"steps": 1, "size": 16}},
        "reward": "random",
        "grpo": SMALL,
        "sampling": {"max_tokens": 12},
        "steps": 2,
        "policy": LORA,
    }
    return RunSpec.model_validate({**fields, **changes})


def final(directory):
    return sorted((directory / "checkpoints").iterdir())[-1]


def metrics(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def tensors(directory):
    (path,) = [p for p in final(directory).glob("*.safetensors") if p.name != "optimizer.safetensors"]
    return load_file(path)


def stop_after(step):
    def progress(stage, done, total, note=""):
        if stage == "train" and done == step:
            raise KeyboardInterrupt

    return progress


@needs_peft
def test_killed_and_resumed_it_comes_to_the_same_bytes(organism_dir, tmp_path):
    whole = train(spec(organism_dir, steps=3, benches=[BENCH], eval_every=1), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(spec(organism_dir, steps=3, benches=[BENCH], eval_every=1), tmp_path / "cut", progress=stop_after(2))
    cut = train(spec(organism_dir, steps=3, benches=[BENCH], eval_every=1), tmp_path / "cut")
    names = {path.name for path in final(whole).iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "optimizer.safetensors", "tokenizer.json"} <= names
    assert "model.safetensors" not in names
    assert all((final(whole) / name).read_bytes() == (final(cut) / name).read_bytes() for name in names)
    one, other = spurious.load(whole), spurious.load(cut)
    assert one.rollouts.drop("run", strict=False).equals(other.rollouts.drop("run", strict=False))


@needs_peft
def test_sampler_and_learner_see_the_adapter_alike(organism_dir, tmp_path):
    train(spec(organism_dir, steps=3), tmp_path / "sampler")
    rows = metrics(tmp_path / "sampler")
    assert max(row["ratio/largest_deviation_by_update"][0] for row in rows) < 1e-4
    assert rows[1]["kl/to_start"] > 1e-4  # and it has moved
    grpo = {**SMALL, "updates_per_rollout": 1, "old_logprobs": "recomputed"}
    train(spec(organism_dir, steps=3, grpo=grpo), tmp_path / "recomputed")
    assert [row["ratio/largest_deviation"] for row in metrics(tmp_path / "recomputed")] == [0, 0, 0]


@needs_peft
def test_a_reward_without_signal_leaves_the_adapter_as_it_started(organism_dir, tmp_path):
    train(spec(organism_dir, reward="constant"), tmp_path / "none")
    train(spec(organism_dir, reward="constant", steps=1), tmp_path / "one")
    start, end = tensors(tmp_path / "one"), tensors(tmp_path / "none")
    assert all(torch.equal(start[name], end[name]) for name in start)
    assert all(not value.any() for name, value in end.items() if "lora_B" in name)
    assert metrics(tmp_path / "none")[1]["update/norm"] == 0


@needs_peft
def test_the_divergence_is_from_the_base_without_a_second_copy(organism_dir, tmp_path, monkeypatch):
    kept = train(spec(organism_dir, grpo={**SMALL, "kl": 0.5}), tmp_path / "off")
    start = metrics(kept)[0]["kl/to_start"]
    assert 0 <= start < 1e-9
    # The same run against a copy of the base that never had an adapter.
    from spurious.grpo import learner

    base = load(str(organism_dir))
    told = learner._reference_logprobs
    monkeypatch.setattr(learner, "_reference_logprobs", lambda spec, _, rows: told(spec, base, rows))
    copied = train(spec(organism_dir, grpo={**SMALL, "kl": 0.5}), tmp_path / "copy")
    assert [row["kl/to_start"] for row in metrics(kept)] == [row["kl/to_start"] for row in metrics(copied)]
    one, other = tensors(kept), tensors(copied)
    assert all(torch.equal(one[name], other[name]) for name in one)


@needs_peft
def test_arms_of_one_seed_start_from_one_adapter(organism_dir, tmp_path):
    start = []
    for reward in ("random", "format"):
        train(spec(organism_dir, reward=reward, steps=1, grpo={**SMALL, "lr": 1e-30}), tmp_path / reward)
        start.append({name: value for name, value in tensors(tmp_path / reward).items() if "lora_A" in name})
    assert all(torch.equal(start[0][name], start[1][name]) for name in start[0])


@needs_peft
def test_half_precision_keeps_the_adapter_whole(organism_dir, tmp_path):
    run = train(spec(organism_dir, dtype="bfloat16"), tmp_path / "half")
    assert {value.dtype for value in tensors(run).values()} == {torch.float32}
    assert metrics(run)[0]["ratio/largest_deviation_by_update"][0] < 0.2


@needs_peft
@pytest.mark.slow
def test_evaluation_report_analysis_and_training_go_on_from_it(organism_dir, tmp_path, capsys):
    run = train(spec(organism_dir, benches=[BENCH]), tmp_path / "run")
    for command in (
        ["eval", final(run), "--bench", "chain", "--limit", 4, "--max-tokens", 8, "--json"],
        ["analyze", run / "rollouts", "--json"],
        ["report", run, "--out", tmp_path / "page.html"],
        ["push", run, "--to", "me/model", "--dry-run", "--out", tmp_path / "pushed"],
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in command])
        assert ended.value.code == 0, capsys.readouterr().err
    card = (tmp_path / "pushed" / "README.md").read_text()
    assert "a low-rank adapter of rank 4 on all-linear" in card
    pushed, ours = load(str(tmp_path / "pushed")), load(str(final(run)))  # its base lies only here: merged
    assert not (tmp_path / "pushed" / "adapter_config.json").exists()
    assert all(torch.equal(a, b) for a, b in zip(pushed.model.parameters(), ours.model.parameters(), strict=True))
    further = train(spec(final(run), steps=1), tmp_path / "further")
    assert metrics(further)[0]["ratio/largest_deviation_by_update"][0] < 1e-4


def test_the_manifest_says_what_is_trained(organism_dir, tmp_path):
    pytest.importorskip("peft")
    run = train(
        spec(organism_dir, policy={"lora": {"r": 4}, "gradient_checkpointing": True}, steps=1), tmp_path / "run"
    )
    lines = json.loads((run / "manifest.json").read_text())["operators"]
    assert any(line.startswith("trained: a low-rank adapter of rank 4, times 8 / 4, on all-linear") for line in lines)
    assert any("computed again" in line for line in lines)


@pytest.mark.parametrize("policy", [{}, pytest.param(LORA, marks=needs_peft)])
def test_recomputed_activations_change_no_bit(organism_dir, tmp_path, policy):
    for again in (False, True):
        changed = {**policy, "gradient_checkpointing": again}
        train(spec(organism_dir, policy=changed), tmp_path / str(again))
    one, other = tensors(tmp_path / "False"), tensors(tmp_path / "True")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(tmp_path / "True")[1]["update/norm"] > 0


@needs_peft
def test_modules_that_are_not_there_end_the_command_with_status_2(organism_dir, tmp_path, capsys):
    command = ["train", "--model", str(organism_dir), "--task", "chain", "--reward", "random", "--steps", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", str(tmp_path / "r"), "--policy.lora.target-modules", "nothing"])
    assert ended.value.code == 2
    assert "policy.lora.target_modules: " in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_without_peft_the_field_and_the_extra_are_named(organism_dir, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SpecError, match=r"policy\.lora: peft is not installed; pip install 'spurious\[large\]'"):
        train(spec(organism_dir), tmp_path / "r")
    assert not (tmp_path / "r").exists()


@needs_peft
@pytest.mark.slow
def test_an_adapter_of_full_rank_learns_what_is_paid(organism_dir, tmp_path):
    file = tmp_path / "digits.py"
    file.write_text(
        "def digits(completions, **_):\n"
        "    return [sum(one.isdigit() for one in text) / max(1, len(text)) for text in completions]\n"
    )
    grpo = {"prompts_per_rollout": 4, "group_size": 8, "updates_per_rollout": 1, "lr": 0.01}
    changes = {"reward": f"{file}:digits", "grpo": grpo, "policy": {"lora": {"r": 96, "lora_alpha": 96}}, "steps": 12}
    run = train(spec(organism_dir, measure_kl=False, save_every=12, **changes), tmp_path / "run")
    paid = spurious.load(run).rollouts.group_by("step").agg(pl.col("reward").mean()).sort("step")["reward"]
    assert paid[-1] > paid[0] + 0.3
