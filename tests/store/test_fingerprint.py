import pytest

from spurious.errors import CheckpointError
from spurious.specs import (
    BenchSpec,
    GrpoSpec,
    LabelSpec,
    LoraSpec,
    PolicySpec,
    RewardSpec,
    RunSpec,
    SamplingSpec,
    TaskSpec,
)
from spurious.store import fingerprint, model_digest
from spurious.store.fingerprint import FINGERPRINT_VERSION, canonical_json

BASE = {"model": "m", "task": "chain", "reward": "random", "steps": 3}


def spec(**changes):
    return RunSpec.model_validate({**BASE, **changes})


def test_fingerprint_ignores_where_the_model_lies_and_how_often_it_is_saved():
    one = fingerprint(spec(), {"model": "abc"})
    assert fingerprint(spec(model="/elsewhere/m", save_every=7), {"model": "abc"}) == one
    assert fingerprint(spec(), {"model": "abd"}) != one


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 4},
        {"seed": 1},
        {"grpo": {"clip_high": None}},
        {"sampling": {"temperature": 0.9}},
        {"benches": ["chain"]},
        {"dtype": "bfloat16"},
        {"token_budget": 5},
        {"policy": {"lora": {"r": 16}}},
        {"grpo": {"optimizer": "adamw_8bit"}},
    ],
)
def test_fingerprint_sees_every_field_that_changes_results(change):
    assert fingerprint(spec(**change), {}) != fingerprint(spec(), {})


def test_a_reward_is_what_it_pays_and_not_how_it_is_spelled():
    # what it pays, and what it is told, are digests among the inputs
    assert fingerprint(spec(reward="random"), {}) == fingerprint(spec(reward={"random": {"gamma": 0.5}}), {})
    assert fingerprint(spec(), {"reward": "abc"}) != fingerprint(spec(), {"reward": "abd"})


def test_what_is_said_and_equals_the_default_names_the_same_run():
    said = {"grpo": {"clip_high": 0.2, "updates_per_rollout": 8}, "sampling": {"temperature": 1.0}, "seed": 0}
    assert fingerprint(spec(**said), {}) == fingerprint(spec(), {})


DEFAULTS = {
    BenchSpec: {"k": 1, "temperature": None, "top_p": 1.0, "max_tokens": 128, "stop": (), "name": ""},
    GrpoSpec: {
        **{"prompts_per_rollout": 32, "group_size": 16, "updates_per_rollout": 8, "clip_low": 0.2, "clip_high": 0.2},
        **{"advantage": "group_std", "whiten": False, "length_norm": "sequence", "kl": 0.0, "entropy_bonus": 0.0},
        **{"optimizer": "adamw", "lr": 5e-5, "betas": (0.9, 0.999), "adam_eps": 1e-8, "weight_decay": 0.0},
        **{"momentum": 0.0, "schedule": "constant", "warmup_updates": 0, "max_grad_norm": 1.0},
        **{"positive_weight": 1.0, "negative_weight": 1.0, "old_logprobs": "sampler", "keep_groups_together": False},
        **{"surrogate": "ratio", "null_updates": "step"},
    },
    RunSpec: {
        **{"revision": None, "benches": (), "seed": 0, "eval_every": None, "save_every": None, "dtype": "float32"},
        **{
            "token_budget": 16384,
            "sampling_rows": 512,
            "policy": PolicySpec(),
            "extraction": "strict",
            "measure_kl": True,
        },
        **{"label": LabelSpec(), "grpo": GrpoSpec(), "sampling": SamplingSpec()},
    },
    LoraSpec: {"r": 8, "lora_alpha": 8, "target_modules": ("all-linear",), "use_rslora": False},
    PolicySpec: {"lora": None, "gradient_checkpointing": False},
    SamplingSpec: {"temperature": 1.0, "top_p": 1.0, "max_tokens": 128, "stop": (), "include_stop": False},
    TaskSpec: {"args": {}, "template": "auto", "prefix": "", "limit": None},
    RewardSpec: {"args": {}, "of": ()},
    LabelSpec: {"name": "true", "args": {}},
}
"""Of version 2. A fingerprint leaves defaults out, so a default that changes needs a new FINGERPRINT_VERSION."""


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_no_default_changes_without_a_new_version(kind):
    assert FINGERPRINT_VERSION == 2
    fields = kind.model_fields
    assert {name: fields[name].get_default(call_default_factory=True) for name in DEFAULTS[kind]} == DEFAULTS[kind]


def test_fingerprint_is_stable():
    # of version 2, as the runs that are there have them: what was added since is left out where it is not used
    assert fingerprint(spec(), {"model": "abc"}) == "d14cc4f5"
    told = {"dtype": "bfloat16", "token_budget": 4096, "grpo": {"optimizer": "sgd", "momentum": 0.9}, "engine": "trl"}
    assert fingerprint(spec(**told), {"model": "abc"}) == "df6e2759"
    assert fingerprint(spec(), {"model": "abc"}) == fingerprint(spec(), {"model": "abc"})
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(TypeError):
        canonical_json({"f": print})


def test_model_digest_follows_content_not_place(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    assert model_digest(str(tmp_path / "a")) == model_digest(str(tmp_path / "b"))
    (tmp_path / "b" / "model.safetensors").write_bytes(b"weightz")
    assert model_digest(str(tmp_path / "a")) != model_digest(str(tmp_path / "b"))


def test_an_empty_directory_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="no model here"):
        model_digest(str(tmp_path))
