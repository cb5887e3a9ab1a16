"""Runs cut to their device or refused, on devices that are made up."""

import json

import pytest

from spurious.cli import main
from spurious.errors import SpecError
from spurious.grpo import room
from spurious.grpo.arm import Inputs, prepare
from spurious.grpo.memory import memory
from spurious.grpo.room import Device, cut, in_words, plan, within
from spurious.grpo.trainer import train
from spurious.policy.body import body, configuration
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


@pytest.fixture(scope="module")
def measured(organism_dir):
    return body(configuration(str(organism_dir)))


@pytest.fixture
def known(monkeypatch, measured):
    """The sizes of the organism, measured once."""
    monkeypatch.setattr(room, "body", lambda config, lora: measured)


def arm(model, **changes):
    return prepare(spec(model, **changes), Inputs(None), {})


def test_a_run_is_cut_to_a_gpu_and_no_further(organism_dir, measured, known):
    big = {"grpo": {"prompts_per_rollout": 64, "group_size": 16, "updates_per_rollout": 1}}
    device = Device("a card", 100_000_000, cuts=True)
    planned = plan(arm(organism_dir, **big), device)
    assert planned["token_budget"] < 16384
    assert planned["peak"]["bytes"] <= device.bytes
    longer = spec(organism_dir, **big).model_copy(update={"token_budget": planned["token_budget"] + 1})
    account = memory(longer, measured, planned["prompt_tokens"])
    assert account.total("always") + account.total("learning") > device.bytes
    assert planned["prompt_tokens"] < 100  # those of the task, not the longest that could be
    assert plan(arm(organism_dir, **big), device) == planned
    assert f"{planned['token_budget']} tokens a pass" in in_words(planned)
    whole = plan(arm(organism_dir, **big), Device("a large card", 10**11, cuts=True))
    assert (whole["token_budget"], whole["sampling_rows"]) == (16384, 512)


def test_small_models_on_a_cpu_are_not_reckoned(organism_dir):
    assert plan(arm(organism_dir), Device("main memory", 1, cuts=False)) is None


def test_what_fits_in_no_way_is_refused_with_advice(organism_dir, known):
    with pytest.raises(SpecError, match=r"model: .* takes at least .* GB while .* may be used; it fits with dtype"):
        plan(arm(organism_dir), Device("a card", 5_200_000, cuts=True))
    with pytest.raises(SpecError, match=r"not with dtype bfloat16, .* either; an adapter takes less: policy\.lora"):
        plan(arm(organism_dir), Device("a card", 1_000_000, cuts=True))


def test_the_command_ends_with_status_2_before_anything_is_written(organism_dir, tmp_path, monkeypatch, capsys, known):
    monkeypatch.setattr(room, "here", lambda: Device("a card", 1_000_000, cuts=True))
    command = ["train", "--model", str(organism_dir), "--task", "chain", "--reward", "random", "--steps", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", str(tmp_path / "r")])
    assert ended.value.code == 2
    assert "a card" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_the_cut_is_kept_in_the_manifest_and_by_a_resumed_run(organism_dir, tmp_path, monkeypatch, known):
    budgets = []

    def stop(stage, done, total, note=""):
        raise KeyboardInterrupt

    def told(run):
        budgets.append(json.loads((run.directory / "manifest.json").read_text())["memory"]["token_budget"])

    sizes = iter((100_000_000, 50_000_000, 100_000_000))
    monkeypatch.setattr(room, "here", lambda: Device("a card", next(sizes), cuts=True))
    changes = {"grpo": {**SMALL, "updates_per_rollout": 1}, "token_budget": 90}
    with pytest.raises(KeyboardInterrupt):
        train(spec(organism_dir, **changes), tmp_path / "cut", progress=stop, opened=told)
    train(spec(organism_dir, **changes), tmp_path / "cut", opened=told)
    assert budgets == [90, 90]
    assert within(spec(organism_dir), {"token_budget": 9, "sampling_rows": 7}, {"token_budget": 8}).token_budget == 8
    assert within(spec(organism_dir), None, None) == spec(organism_dir)


def test_nothing_is_cut_below_what_fits(organism_dir, measured):
    assert cut(spec(organism_dir), measured, 10**12) == (16384, 512)
    assert cut(spec(organism_dir), measured, 1000) is None
