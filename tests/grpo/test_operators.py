from typing import Any

import pytest

from spurious.grpo.operators import effective_operators
from spurious.specs import GrpoSpec

# A default in which every field has an effect, and for each field another value.
BASE: dict[str, Any] = {"optimizer": "adamw", "surrogate": "ratio"}
OTHER: dict[str, tuple[dict[str, Any], Any]] = {
    "prompts_per_rollout": (BASE, 7),
    "group_size": (BASE, 5),
    "updates_per_rollout": (BASE, 3),
    "clip_low": (BASE, None),
    "clip_high": (BASE, 0.28),
    "advantage": (BASE, "rloo"),
    "whiten": (BASE, True),
    "length_norm": (BASE, "token"),
    "kl": (BASE, 0.04),
    "entropy_bonus": (BASE, 0.001),
    "optimizer": (BASE, "sgd"),
    "lr": (BASE, 1e-6),
    "betas": (BASE, (0.9, 0.95)),
    "adam_eps": (BASE, 1e-6),
    "weight_decay": (BASE, 0.1),
    "momentum": ({"optimizer": "sgd"}, 0.5),
    "schedule": (BASE, "linear"),
    "warmup_updates": (BASE, 10),
    "max_grad_norm": (BASE, None),
    "positive_weight": (BASE, 0.1),
    "negative_weight": (BASE, 0.0),
    "old_logprobs": (BASE, "recomputed"),
    "keep_groups_together": (BASE, True),
    "surrogate": (BASE, "prob"),
    "null_updates": (BASE, "skip"),
}


def operators(**fields: Any) -> list[str]:
    return effective_operators(GrpoSpec.model_validate(fields))


@pytest.mark.parametrize("field", GrpoSpec.model_fields)
def test_every_field_is_spoken_of(field: str) -> None:
    base, other = OTHER[field]
    assert operators(**base) != operators(**{**base, field: other})


def test_the_words_of_the_default() -> None:
    text = "\n".join(operators())
    for words in (
        "(reward - group mean) / (group std + 1e-09)",
        "whitening off",
        "32 prompts x 16 completions = 512",
        "8 optimizer updates",
        "ratio clipped above at 1.2 where the advantage is positive",
        "ratio clipped below at 0.8 where the advantage is negative",
        "no hidden clamp on the log ratio",
        "as the sampler reported it",
        "mean over each completion's tokens",
        "no KL term",
        "no entropy bonus",
        "2-norm of at most 1",
        "AdamW, betas 0.9 and 0.999, eps 1e-08",
        "no weight decay",
        "learning rate 5e-05, constant, no warm-up",
        "momentum goes on",
    ):
        assert words in text


def test_no_clip_is_said_and_no_bound_is_mentioned() -> None:
    text = "\n".join(operators(clip_low=None, clip_high=None))
    assert "no upper clip\nno lower clip\nno dual clip" in text
    assert "clipped above" not in text
    assert "clipped below" not in text


@pytest.mark.parametrize(("surrogate", "factor"), [("logp", "log pi"), ("prob", "pi")])
def test_surrogates_without_a_ratio_promise_no_clip(surrogate: str, factor: str) -> None:
    lines = operators(surrogate=surrogate)
    assert f"surrogate: advantage x {factor} of each token; no ratio, so no clip of any kind" in lines
    assert not any("clipped" in line for line in lines if "not clipped" not in line)


@pytest.mark.parametrize(
    ("ineffective", "spec"),
    [
        ({"momentum": 0.5}, {"optimizer": "adamw"}),
        ({"betas": (0.5, 0.5)}, {"optimizer": "sgd"}),
        ({"adam_eps": 1e-3}, {"optimizer": "sgd"}),
        ({"clip_high": 0.9}, {"surrogate": "logp"}),
        ({"old_logprobs": "recomputed"}, {"surrogate": "prob"}),
    ],
)
def test_fields_without_effect_are_not_claimed(ineffective: dict[str, Any], spec: dict[str, Any]) -> None:
    assert operators(**spec) == operators(**spec, **ineffective)


def test_signs_and_terms_are_named() -> None:
    lines = operators(positive_weight=0.1, negative_weight=0, kl=0.04, entropy_bonus=-0.01, whiten=True)
    assert "positive advantages times 0.1, negative advantages times 0" in lines
    assert "KL term: 0.04 x k3 to the frozen initial policy, in the loss" in lines
    assert "entropy bonus: -0.01 x token entropy" in lines
    assert "every completion gets a forward pass" in lines
    assert any(line.startswith("whitening on") for line in lines)
