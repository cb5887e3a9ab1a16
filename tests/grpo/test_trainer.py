import json
from importlib.metadata import version

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import spurious
from spurious.errors import DataError, RewardError, SpecError, StoreError
from spurious.evaluate import evaluate
from spurious.grpo import trainer
from spurious.grpo.arm import Arm
from spurious.grpo.trainer import train
from spurious.specs import RunSpec

SMALL = {"prompts_per_rollout": 4, "group_size": 4, "updates_per_rollout": 2}


def spec(model, **changes):
    fields = {
        "model": str(model),
        "task": {"chain": {"steps": 1, "size": 16}},
        "reward": "random",
        "grpo": SMALL,
        "sampling": {"max_tokens": 12},
        "steps": 2,
    }
    return RunSpec.model_validate({**fields, **changes})


def weights(directory):
    return load_file(directory / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def final(directory):
    return sorted((directory / "checkpoints").iterdir())[-1]


def metrics(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def untimed(row):
    return {name: value for name, value in row.items() if not name.startswith("seconds/")}


def test_a_run_leaves_everything_that_was_promised(organism_dir, tmp_path):
    bench = {"task": {"chain": {"steps": 1, "size": 5}}, "max_tokens": 12}
    train(spec(organism_dir, benches=[bench], eval_every=1), tmp_path / "r")
    assert (tmp_path / "r" / "DONE").exists()
    assert sorted(p.name for p in (tmp_path / "r" / "evals").iterdir()) == [f"00000{i}-chain.parquet" for i in range(3)]
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert any("clip" in line for line in manifest["operators"])
    assert manifest["attempts"][0]["status"] == "done"
    assert manifest["environment"]["versions"]["torch"] == version("torch")

    runs = spurious.load(tmp_path)
    rollouts = runs.rollouts
    assert rollouts.height == 2 * 4 * 4
    assert set(rollouts["reward"]) <= {0.0, 1.0}
    groups = rollouts.group_by("step", "problem_id", "copy").agg(pl.col("advantage").sum().abs(), pl.len())
    assert groups["len"].to_list() == [4] * 8
    assert groups["advantage"].max() < 1e-12
    assert not same(weights(final(tmp_path / "r")), weights(organism_dir))
    assert metrics(tmp_path / "r")[1]["optim/grad_norm"] > 0


@pytest.mark.parametrize("reward", ["constant", {"random": {"gamma": 0}}])
def test_rewards_without_signal_leave_the_weights_bit_identical(organism_dir, tmp_path, reward):
    train(spec(organism_dir, reward=reward), tmp_path / "r")
    assert same(weights(final(tmp_path / "r")), weights(organism_dir))
    assert metrics(tmp_path / "r")[0]["groups/signal"] == 0
    assert metrics(tmp_path / "r")[0]["update/norm"] == 0


def test_the_update_norm_is_how_far_the_weights_went(organism_dir, tmp_path):
    train(spec(organism_dir, steps=1), tmp_path / "r")
    start, end = weights(organism_dir), weights(final(tmp_path / "r"))
    change = torch.cat([(end[name].double() - start[name].double()).flatten() for name in start])
    (row,) = metrics(tmp_path / "r")
    assert row["update/norm"] == pytest.approx(float(change.norm()), rel=1e-6)
    # Adam's first step is lr in every weight that has a gradient at all: two updates go at most twice as far.
    assert 0 < row["update/norm"] <= 2 * 5e-5 * len(change) ** 0.5 * (1 + 1e-3)


def test_one_update_on_recomputed_logprobs_has_ratio_exactly_one(organism_dir, tmp_path):
    grpo = {**SMALL, "updates_per_rollout": 1, "old_logprobs": "recomputed"}
    train(spec(organism_dir, grpo=grpo), tmp_path / "r")
    for row in metrics(tmp_path / "r"):
        assert row["ratio/largest_deviation"] == 0
        assert row["ratio/clip_fraction_low"] == row["ratio/clip_fraction_high"] == 0


def test_the_sampler_and_the_trainer_agree_on_probabilities(organism_dir, tmp_path):
    train(spec(organism_dir, grpo={**SMALL, "updates_per_rollout": 1}), tmp_path / "r")
    assert 0 < metrics(tmp_path / "r")[0]["ratio/largest_deviation"] < 1e-4


def test_two_arms_with_one_seed_see_the_same_problems_and_noise(organism_dir, tmp_path):
    for reward in ("random", "format"):
        train(spec(organism_dir, reward=reward, steps=1), tmp_path / reward)
    one, other = (spurious.load(tmp_path / reward).rollouts for reward in ("random", "format"))
    columns = ["prompt", "text", "sample", "logprob"]
    assert one.select(columns).equals(other.select(columns))


def test_another_seed_sees_others(organism_dir, tmp_path):
    for seed in (0, 1):
        train(spec(organism_dir, seed=seed, steps=1), tmp_path / str(seed))
    one, other = (spurious.load(tmp_path / str(seed)).rollouts for seed in (0, 1))
    assert one["text"].to_list() != other["text"].to_list()
    assert one["reward"].to_list() != other["reward"].to_list()


def test_one_training_problem_is_asked_in_copies_that_differ(organism_dir, tmp_path):
    train(spec(organism_dir, task={"name": "chain", "args": {"steps": 1}, "limit": 1}, steps=1), tmp_path / "r")
    rollouts = spurious.load(tmp_path / "r").rollouts
    assert rollouts["problem_id"].n_unique() == 1
    assert sorted(rollouts["copy"].unique()) == [0, 1, 2, 3]
    texts = rollouts.group_by("copy").agg("text")["text"].to_list()
    assert len({tuple(group) for group in texts}) == 4


def test_the_token_budget_changes_only_rounding(organism_dir, tmp_path):
    for budget in (40, 100_000):
        train(spec(organism_dir, token_budget=budget, steps=1), tmp_path / str(budget))
    (small,), (large,) = (metrics(tmp_path / str(budget)) for budget in (40, 100_000))
    assert small["optim/grad_norm"] == pytest.approx(large["optim/grad_norm"], rel=1e-4)
    one, other = (weights(final(tmp_path / str(budget))) for budget in (40, 100_000))
    assert all(torch.allclose(one[name], other[name], atol=2e-6) for name in one)


def test_mixed_precision_keeps_float32_weights(organism_dir, tmp_path):
    train(spec(organism_dir, dtype="bfloat16"), tmp_path / "r")
    trained = weights(final(tmp_path / "r"))
    assert {tensor.dtype for tensor in trained.values()} == {torch.float32}
    assert not same(trained, weights(organism_dir))
    deviation = metrics(tmp_path / "r")[0]["ratio/largest_deviation_by_update"][0]
    assert 1e-5 < deviation < 0.2  # bfloat16 has 8 bits; in float32 this is below 1e-4


def test_confidence_rewards_get_what_they_need(organism_dir, tmp_path):
    train(spec(organism_dir, reward="negative_entropy", steps=1), tmp_path / "r")
    rewards = spurious.load(tmp_path / "r").rollouts["reward"]
    assert rewards.n_unique() > 8
    assert rewards.max() < 0


def test_a_kl_term_holds_the_policy_back(organism_dir, tmp_path):
    for kl in (0.0, 20.0):
        grpo = {**SMALL, "kl": kl, "lr": 1e-3}
        train(spec(organism_dir, grpo=grpo, steps=3), tmp_path / str(kl))
    free, held = (metrics(tmp_path / str(kl))[-1]["kl/to_start"] for kl in (0.0, 20.0))
    assert held < free


def test_a_stopped_run_goes_on_to_the_same_bytes(organism_dir, tmp_path):
    whole = spec(organism_dir, steps=4, benches=[{"task": {"chain": {"steps": 1, "size": 4}}, "max_tokens": 8}])
    train(whole, tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(stage, done, total, note=""):
        if stage == "train" and done == 3:
            raise Killed

    with pytest.raises(Killed):
        train(whole, tmp_path / "parts", progress=kill)
    train(whole, tmp_path / "parts")
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text())
    assert [attempt["start_step"] for attempt in manifest["attempts"]] == [0, 3]
    ours = {p.relative_to(tmp_path / "whole"): p for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    for name, path in ours.items():
        if name.parts[0] in ("checkpoints", "rollouts", "evals"):
            assert path.read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    assert list(map(untimed, metrics(tmp_path / "whole"))) == list(map(untimed, metrics(tmp_path / "parts")))


def test_a_finished_run_is_left_alone(organism_dir, tmp_path):
    train(spec(organism_dir, steps=1), tmp_path / "r")
    before = (tmp_path / "r" / "manifest.json").stat().st_mtime_ns
    train(spec(organism_dir, steps=1), tmp_path / "r")
    assert (tmp_path / "r" / "manifest.json").stat().st_mtime_ns == before


def test_runs_without_a_directory_are_named_after_what_they_are(organism_dir, tmp_path):
    one = train(spec(organism_dir, steps=0), store=tmp_path)
    other = train(spec(organism_dir, steps=0, seed=1), store=tmp_path)
    assert one.name.startswith("random")
    assert "--s0--" in one.name
    assert one != other


def test_runs_of_a_store_evaluate_the_untrained_model_once(organism_dir, tmp_path, monkeypatch):
    evaluated = []

    def counted(sampler, bench, seed, **kwargs):
        evaluated.append((bench.spec.slug, kwargs["step"]))
        return evaluate(sampler, bench, seed, **kwargs)

    monkeypatch.setattr(trainer, "evaluate", counted)
    monkeypatch.setattr(Arm, "repeatable", True)  # also where these tests run on uncommitted changes
    task = {"name": "chain", "args": {"steps": 2, "size": 4}}
    benches = [{"task": task, "max_tokens": 8, "name": "greedy"}, {"task": task, "k": 2, "max_tokens": 8, "name": "k2"}]
    asked = {"steps": 1, "benches": benches}
    first = train(spec(organism_dir, **asked), store=tmp_path)
    both = [("greedy", 0), ("k2", 0)]
    assert evaluated == [*both, ("greedy", 1), ("k2", 1)]
    evaluated.clear()
    other = train(spec(organism_dir, reward="format", **asked), store=tmp_path)
    assert [name for name in evaluated if name[1] == 0] == []
    alone = train(spec(organism_dir, **asked), tmp_path / "elsewhere" / "run", store=tmp_path)
    assert [name for name in evaluated if name[1] == 0] == both
    for slug in ("greedy", "k2"):
        rows = [(run / "evals" / f"000000-{slug}.parquet").read_bytes() for run in (first, other, alone)]
        assert rows[0] == rows[1] == rows[2]
    evaluated.clear()
    train(spec(organism_dir, seed=1, **asked), store=tmp_path)
    assert [name for name in evaluated if name[1] == 0] == [("k2", 0)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def pay(completions, **_):\n    return [float('nan')] * len(completions)\n", "nan"),
        ("def pay(completions, **_):\n    return [1.0]\n", "1 values for 4 completions"),
        ("def pay(completions, **_)\n    return [1.0]\n", r"mine\.py:1"),
    ],
)
def test_a_broken_reward_stops_the_run_and_is_named(organism_dir, tmp_path, source, message):
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(RewardError, match=message):
        train(spec(organism_dir, reward=f"{tmp_path / 'mine.py'}:pay"), tmp_path / "r")


def test_impossible_requests_are_refused_before_anything_is_written(organism_dir, tmp_path):
    with pytest.raises(SpecError, match="temperature"):
        train(spec(organism_dir, sampling={"temperature": 0}), tmp_path / "r")
    with pytest.raises(SpecError, match="nothing_like_it"):
        train(spec(organism_dir, reward="nothing_like_it"), tmp_path / "r")
    with pytest.raises(DataError, match="no_such_file"):
        train(spec(organism_dir, task="no_such_file.jsonl"), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_changed_spec_is_not_mixed_into_a_run(organism_dir, tmp_path):
    train(spec(organism_dir, steps=1), tmp_path / "r")
    with pytest.raises(StoreError, match=r"grpo\.lr"):
        train(spec(organism_dir, steps=1, grpo={**SMALL, "lr": 1e-3}), tmp_path / "r")
