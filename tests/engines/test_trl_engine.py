"""The TRL engine against our own: the same run but for rounding, the same directory, the same refusals."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import spurious
from spurious.cli import main
from spurious.errors import SpecError
from spurious.specs import RunSpec
from spurious.training import train

pytest.importorskip("trl", reason="needs the extra trl")

from accelerate.utils import DistributedType

from spurious.engines.trl import sharded

SMALL = {"prompts_per_rollout": 4, "group_size": 4, "updates_per_rollout": 2}


def spec(model, engine="trl", **changes):
    fields = {
        "model": str(model),
        "task": {"chain": {"steps": 1, "size": 16}},
        "reward": "random",
        "grpo": SMALL,
        "sampling": {"max_tokens": 12},
        "steps": 2,
        "engine": engine,
    }
    return RunSpec.model_validate({**fields, **changes})


def weights(directory):
    return load_file(sorted((directory / "checkpoints").iterdir())[-1] / "model.safetensors")


def adapter(directory):
    return load_file(sorted((directory / "checkpoints").iterdir())[-1] / "adapter_model.safetensors")


def metrics(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def largest_difference(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


FAR = {"updates_per_rollout": 4, "lr": 0.03, "adam_eps": 0.01}
"""Ratios leave the clip's band; with Adam's usual epsilon a gradient of rounding alone would decide a step's sign."""

ESTIMATORS = {
    "clipped on both sides": FAR,
    "without clip": {**FAR, "clip_low": None, "clip_high": None},
    "lower clip only, rloo, summed": {**FAR, "clip_high": None, "advantage": "rloo", "length_norm": "constant"},
    "upper clip only, whitened": {**FAR, "clip_low": None, "whiten": True, "negative_weight": 0.5},
    "tokens, kl, recomputed": {
        **FAR,
        "length_norm": "token",
        "kl": 0.5,
        "old_logprobs": "recomputed",
        "advantage": "group_mean",
    },
    "schedule, decay, whole groups": {
        "schedule": "linear",
        "warmup_updates": 3,
        "adam_eps": 0.01,
        "weight_decay": 0.1,
        "max_grad_norm": None,
        "keep_groups_together": True,
        "advantage": "batch",
    },
    "entropy": {"length_norm": "token", "entropy_bonus": 0.1, "advantage": "none", "optimizer": "sgd", "lr": 1},
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_run_is_that_of_our_own_engine_but_for_rounding(organism_dir, tmp_path, name):
    grpo = {**SMALL, **ESTIMATORS[name]}
    bench = {"task": {"chain": {"steps": 1, "size": 5}}, "max_tokens": 12}
    for engine in ("own", "trl"):
        train(spec(organism_dir, engine, grpo=grpo, benches=[bench], steps=1), tmp_path / engine)
    own, trl = (spurious.load(tmp_path / engine) for engine in ("own", "trl"))
    assert trl.rollouts.drop("run").equals(own.rollouts.drop("run"))
    assert [p.name for p in sorted((tmp_path / "trl" / "evals").iterdir())] == [
        "000000-chain.parquet",
        "000001-chain.parquet",
    ]
    for ours, theirs in zip(metrics(tmp_path / "own"), metrics(tmp_path / "trl"), strict=True):
        assert ours.keys() == theirs.keys()
        for metric in ("optim/grad_norm_by_update", "ratio/clip_fraction_by_update", "clip_bias/expected_by_update"):
            assert theirs[metric] == pytest.approx(ours[metric], rel=1e-3, abs=1e-6)
        for metric in ("loss/mean", "entropy/mean", "kl/to_start", "update/norm", "tokens/trained"):
            assert theirs[metric] == pytest.approx(ours[metric], rel=1e-3, abs=1e-5)
    assert largest_difference(weights(tmp_path / "own"), weights(tmp_path / "trl")) < 1e-5
    if name == "clipped on both sides":
        assert metrics(tmp_path / "trl")[0]["ratio/clip_fraction_high"] > 0
        assert metrics(tmp_path / "trl")[0]["ratio/clip_fraction_low"] > 0


def test_a_killed_run_goes_on_to_the_same_bytes(organism_dir, tmp_path):
    grpo = {**SMALL, "schedule": "linear", "lr": 0.001}
    whole = train(spec(organism_dir, grpo=grpo, steps=4), tmp_path / "whole")

    def stop(stage, done, total, note=""):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec(organism_dir, grpo=grpo, steps=4), tmp_path / "cut", progress=stop)
    cut = train(spec(organism_dir, grpo=grpo, steps=4), tmp_path / "cut")
    assert (cut / "DONE").exists()
    assert [a["start_step"] for a in json.loads((cut / "manifest.json").read_text())["attempts"]] == [0, 2]
    assert largest_difference(weights(whole), weights(cut)) == 0
    one, other = (spurious.load(path).rollouts.drop("run") for path in (whole, cut))
    assert one.equals(other)


def test_a_reward_without_signal_leaves_the_weights_bit_identical(organism_dir, tmp_path):
    train(spec(organism_dir, reward="constant"), tmp_path / "r")
    assert largest_difference(weights(tmp_path / "r"), load_file(organism_dir / "model.safetensors")) == 0
    assert metrics(tmp_path / "r")[0]["optim/null_updates"] == 2


def test_one_update_on_recomputed_logprobs_has_ratio_exactly_one(organism_dir, tmp_path):
    train(spec(organism_dir, grpo={**SMALL, "updates_per_rollout": 1, "old_logprobs": "recomputed"}), tmp_path / "r")
    assert [row["ratio/largest_deviation"] for row in metrics(tmp_path / "r")] == [0, 0]


def test_passes_within_the_token_budget_change_only_rounding(organism_dir, tmp_path):
    for budget in (80, 100_000):
        train(spec(organism_dir, token_budget=budget, grpo={**SMALL, "lr": 0.001}), tmp_path / str(budget))
    manifest = json.loads((tmp_path / "80" / "manifest.json").read_text())
    assert any(" passes an update" in line and "8 completions a pass" not in line for line in manifest["operators"])
    small, large = metrics(tmp_path / "80"), metrics(tmp_path / "100000")
    assert [row["optim/grad_norm"] for row in small] == pytest.approx([row["optim/grad_norm"] for row in large], 1e-3)
    assert largest_difference(weights(tmp_path / "80"), weights(tmp_path / "100000")) < 1e-5


def test_the_manifest_says_what_trl_does(organism_dir, tmp_path):
    train(spec(organism_dir, steps=1), tmp_path / "r")
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    operators = manifest["operators"]
    assert manifest["environment"]["versions"]["trl"].startswith("1.16.")
    assert "processes: 1, 8 completions a pass" in (tmp_path / "r" / "logs" / "attempt-1.log").read_text()
    assert "ratio clipped above at 1.2 where the advantage is positive" in operators
    assert "every completion gets a forward pass" in operators
    assert any("GRPOTrainer" in line and "loss_type grpo" in line for line in operators)


def test_a_launcher_s_precision_does_not_count(organism_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    train(spec(organism_dir, steps=1), tmp_path / "r")
    assert metrics(tmp_path / "r")[0]["ratio/largest_deviation_by_update"][0] < 1e-4
    train(spec(organism_dir, steps=1, dtype="bfloat16"), tmp_path / "half")
    assert 1e-5 < metrics(tmp_path / "half")[0]["ratio/largest_deviation_by_update"][0] < 0.2
    assert {tensor.dtype for tensor in weights(tmp_path / "half").values()} == {torch.float32}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "ACCELERATE_USE_DEEPSPEED"),
        ({"ACCELERATE_USE_FSDP": "true"}, "FSDP 2 only"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}, "several GPUs only"),
    ],
)
def test_shards_that_cannot_be_had_are_refused(organism_dir, tmp_path, monkeypatch, environment, message):
    for name, value in {"FSDP_CPU_RAM_EFFICIENT_LOADING": "true", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SpecError, match=message):
        train(spec(organism_dir), tmp_path / "r")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"policy": {"lora": {"r": 2}}}, r"policy\.lora"), ({"grpo": {"optimizer": "adamw_8bit"}}, r"grpo\.optimizer")],
)
def test_what_shards_cannot_do_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        sharded.check(spec("m", **changes), SimpleNamespace(distributed_type=DistributedType.MULTI_GPU))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT reads the old name
def test_an_adapter_is_trained_saved_and_resumed(organism_dir, tmp_path):
    pytest.importorskip("peft")
    lora = {"lora": {"r": 2, "target_modules": ["q_proj", "v_proj"]}}
    whole = train(spec(organism_dir, policy=lora, steps=3, grpo={**SMALL, "lr": 0.01}), tmp_path / "whole")
    end = adapter(whole)
    assert all(("q_proj" in name or "v_proj" in name) and value.any() for name, value in end.items())
    # The sampler saw the adapter: had it drawn from the weights below, ratios would have left 1 at once.
    assert max(row["ratio/largest_deviation_by_update"][0] for row in metrics(whole)) < 1e-4

    def stop(stage, done, total, note=""):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec(organism_dir, policy=lora, steps=3, grpo={**SMALL, "lr": 0.01}), tmp_path / "cut", progress=stop)
    cut = train(spec(organism_dir, policy=lora, steps=3, grpo={**SMALL, "lr": 0.01}), tmp_path / "cut")
    assert largest_difference(end, adapter(cut)) == 0
    assert metrics(whole)[0]["kl/to_start"] < 1e-9 < metrics(whole)[2]["kl/to_start"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grpo": {**SMALL, "surrogate": "prob"}}, r"grpo\.surrogate"),
        ({"grpo": {**SMALL, "null_updates": "skip"}}, r"grpo\.null_updates"),
        ({"grpo": {**SMALL, "updates_per_rollout": 3}}, r"grpo\.updates_per_rollout: .* 16 completions"),
        ({"grpo": {**SMALL, "entropy_bonus": 0.1}}, r"grpo\.entropy_bonus"),
        ({"trl": {"vllm": {"mode": "server"}}}, r"trl\.vllm: has no effect"),
        ({"trl": {"sampler": "vllm"}, "sampling": {"stop": ["x"]}}, r"sampling\.stop"),
        ({"trl": {"sampler": "vllm"}, "sampling": {"top_p": 0.9}}, r"grpo\.old_logprobs"),
        ({"trl": {"sampler": "vllm", "vllm": {"importance_sampling_mode": "token_mask"}}}, r"trl\.vllm\.importance"),
        ({"trl": {"sampler": "vllm", "vllm": {"mood": "server"}}}, r"trl\.vllm\.mood"),
        ({"engine": "own", "trl": {"vllm": {"mode": "server"}}}, r"trl: has no effect"),
    ],
)
def test_what_trl_cannot_do_is_refused(organism_dir, tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        train(spec(organism_dir, **changes), tmp_path / "r")


def test_a_refusal_ends_the_command_with_status_2(organism_dir, tmp_path, capsys):
    command = ["train", "--model", str(organism_dir), "--task", "chain", "--reward", "random", "--steps", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", str(tmp_path / "r"), "--engine", "trl", "--grpo.surrogate", "logp"])
    assert ended.value.code == 2
    assert "grpo.surrogate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "grpo", "message"),
    [
        (8, SMALL, r"grpo\.prompts_per_rollout: 4 prompts .* 8 processes"),
        (3, SMALL, r"grpo\.updates_per_rollout: .* 2 updates on 3 processes"),
    ],
)
def test_processes_that_cannot_share_a_batch_are_refused(organism_dir, tmp_path, monkeypatch, count, grpo, message):
    monkeypatch.setenv("WORLD_SIZE", str(count))
    with pytest.raises(SpecError, match=message):
        train(spec(organism_dir, grpo=grpo), tmp_path / "r")
    with pytest.raises(SpecError, match="engine: own trains in one process"):
        train(spec(organism_dir, "own"), tmp_path / "r")


LENGTHS = """
def pay(completions, *, label, problem, draw, **_):
    assert len(completions) == 4, "part of a group"
    return [float(len(text)) for text in completions]
"""


@pytest.mark.slow
def test_two_processes_train_what_one_does_on_whole_groups(organism_dir, tmp_path):
    """Three prompts on two processes: majority vote and the permutation inside a group see all four completions."""
    (tmp_path / "lengths.py").write_text(LENGTHS)
    parts = ["majority_vote", {"shuffled": f"{tmp_path / 'lengths.py'}:pay"}]
    reward = {"weighted": {"weights": [1, 1], "of": parts}}
    grpo = {"prompts_per_rollout": 3, "group_size": 4, "updates_per_rollout": 3, "lr": 0.001}
    train(spec(organism_dir, reward=reward, grpo=grpo), tmp_path / "one")
    command = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "spurious", "train", "--model", str(organism_dir), "--engine", "trl", "--steps", "2"]
    command += ["--task", "chain", "--task.args.steps", "1", "--task.args.size", "16", "--reward", json.dumps(reward)]
    command += ["--sampling.max-tokens", "12", *(f"--grpo.{n.replace('_', '-')}={v}" for n, v in grpo.items())]
    subprocess.run([*command, "--out", str(tmp_path / "two")], check=True, timeout=300)
    one, two = (spurious.load(tmp_path / name) for name in ("one", "two"))
    exact = ["step", "problem_id", "sample", "text", "grade", "reward", "advantage"]
    assert one.rollouts.select(exact).equals(two.rollouts.select(exact))
    assert one.rollouts["reward"].n_unique() > 1
    for ours, theirs in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        assert theirs["optim/grad_norm_by_update"] == pytest.approx(ours["optim/grad_norm_by_update"], rel=1e-3)
        assert theirs["rows/trained"] == ours["rows/trained"]
    assert largest_difference(weights(tmp_path / "one"), weights(tmp_path / "two")) < 1e-5
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert any(line.startswith("processes: 2, whole groups in each") for line in manifest["operators"])


SHARDS = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}


def train_in_shards(organism_dir, out, steps, grpo, *more):
    command = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc_per_node", "2"]
    command += [str(Path(__file__).with_name("sharding_on_cpus.py")), "train", "--model", str(organism_dir)]
    command += ["--task", "chain", "--task.args.steps", "1", "--task.args.size", "16", "--reward", "random"]
    command += ["--engine", "trl", "--steps", str(steps), "--sampling.max-tokens", "12", "--save-every", "1"]
    command += [*(f"--grpo.{n.replace('_', '-')}={v}" for n, v in grpo.items()), *more, "--out", str(out)]
    subprocess.run(command, check=True, timeout=300, env={**os.environ, **SHARDS})
    return weights(out)


@pytest.mark.slow
def test_weights_in_shards_are_trained_sampled_saved_and_resumed_as_whole_ones(organism_dir, tmp_path):
    """With a divergence, whose reference lies in shards too, and log-probabilities that are read again."""
    grpo = {**SMALL, "lr": 0.001, "kl": 0.05, "old_logprobs": "recomputed", "max_grad_norm": 0.5}
    train(spec(organism_dir, grpo=grpo, steps=3), tmp_path / "whole")
    end = train_in_shards(organism_dir, tmp_path / "cut", 3, grpo)
    assert largest_difference(weights(tmp_path / "whole"), end) < 1e-5
    for ours, theirs in zip(metrics(tmp_path / "whole"), metrics(tmp_path / "cut"), strict=True):
        for name in ("optim/grad_norm_by_update", "update/norm", "kl/to_start"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-3, abs=1e-9)
    manifest = json.loads((tmp_path / "cut" / "manifest.json").read_text())
    assert "weights, gradients and moments in shards (FSDP 2)" in manifest["operators"]

    (tmp_path / "cut" / "DONE").unlink()
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "000003")
    assert largest_difference(end, train_in_shards(organism_dir, tmp_path / "cut", 3, grpo)) == 0


@pytest.mark.slow
def test_shards_compute_in_the_precision_that_the_sampler_has(organism_dir, tmp_path):
    train_in_shards(organism_dir, tmp_path / "half", 1, SMALL, "--dtype", "bfloat16")
    assert 1e-5 < metrics(tmp_path / "half")[0]["ratio/largest_deviation_by_update"][0] < 0.1
    assert {tensor.dtype for tensor in weights(tmp_path / "half").values()} == {torch.float32}
