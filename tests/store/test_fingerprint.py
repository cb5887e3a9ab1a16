import pytest

from spurious.errors import CheckpointError
from spurious.specs import RunSpec
from spurious.store import fingerprint, model_digest
from spurious.store.fingerprint import canonical_json

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
    ],
)
def test_fingerprint_sees_every_field_that_changes_results(change):
    assert fingerprint(spec(**change), {}) != fingerprint(spec(), {})


def test_a_reward_is_what_it_pays_and_not_how_it_is_spelled():
    # what it pays, and what it is told, are digests among the inputs
    assert fingerprint(spec(reward="random"), {}) == fingerprint(spec(reward={"random": {"gamma": 0.5}}), {})
    assert fingerprint(spec(), {"reward": "abc"}) != fingerprint(spec(), {"reward": "abd"})


def test_fingerprint_is_stable():
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
