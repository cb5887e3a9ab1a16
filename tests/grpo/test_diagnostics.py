import json
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spurious.errors import NumericalError
from spurious.grpo.batch import Minibatch
from spurious.grpo.clip_bias import bias_coefficients, masses
from spurious.grpo.diagnostics import (
    Diagnostics,
    check_finite,
    combined,
    measure,
    rollout_metrics,
    update_bias,
)
from spurious.grpo.loss import grpo_loss
from spurious.policy.logprobs import Row
from spurious.specs import GrpoSpec
from spurious.store.tables import RATIO_EDGES
from spurious.types import Completion, Grade, Group, Problem, Prompt, Scored

SPEC = GrpoSpec(updates_per_rollout=2)


def doubles(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def batch_of(advantages: Tensor, weights: Tensor) -> Minibatch:
    """Every token is a row of its own."""
    rows = tuple(Row((1,), (2,)) for _ in advantages)
    return Minibatch(rows, tuple(range(len(rows))), torch.zeros(len(rows)), advantages, weights)


def add(diagnostics: Diagnostics, ratios: list[float], advantages: list[float], old: float = 0.5) -> None:
    """One micro-batch with these ratios, weights 1 / 4, and a loss of 0.25 a token."""
    old_logprobs = torch.full((len(ratios),), math.log(old), dtype=torch.float64)
    batch = batch_of(doubles(advantages), torch.full((len(ratios),), 0.25))
    entropies = torch.full((len(ratios),), 0.7)
    diagnostics.add(
        torch.tensor(0.25 * len(ratios)), old_logprobs + doubles(ratios).log(), entropies, old_logprobs, batch
    )


def two_updates() -> dict[str, Any]:
    diagnostics = Diagnostics(SPEC)
    add(diagnostics, [1.0, 1.0], [1.0, -1.0])
    add(diagnostics, [1.0], [1.0])
    diagnostics.end_update(3.0)
    add(diagnostics, [1.5, 1.5, 0.5, 0.5, 1.1], [1.0, -1.0, 1.0, -1.0, 2.0])
    diagnostics.end_update(1.0)
    return diagnostics.finish()


def test_clip_fractions_by_side_and_sign() -> None:
    metrics = two_updates()
    assert metrics["ratio/clip_fraction_low"] == metrics["ratio/clip_fraction_high"] == 1 / 8
    assert metrics["ratio/above_positive"] == metrics["ratio/below_positive"] == 1 / 5
    assert metrics["ratio/above_negative"] == metrics["ratio/below_negative"] == 1 / 3
    assert metrics["ratio/clip_fraction_by_update"] == [0, 2 / 5]


def test_means_and_extremes() -> None:
    metrics = two_updates()
    assert metrics["tokens/trained"] == metrics["rows/trained"] == 8
    assert metrics["ratio/largest_deviation"] == pytest.approx(0.5)
    assert metrics["ratio/largest_deviation_by_update"] == pytest.approx([0, 0.5])
    assert metrics["ratio/mean"] == pytest.approx((3 + 1.5 + 1.5 + 0.5 + 0.5 + 1.1) / 8)
    assert metrics["probability/mean"] == pytest.approx(metrics["ratio/mean"] / 2)
    assert metrics["entropy/mean"] == pytest.approx(0.7)
    ratios = [1, 1, 1, 1.5, 1.5, 0.5, 0.5, 1.1]
    assert metrics["kl/old"] == pytest.approx(sum(r - 1 - math.log(r) for r in ratios) / 8)
    assert metrics["loss/mean"] == pytest.approx((0.75 + 1.25) / 2)
    assert metrics["optim/grad_norm"] == 2
    assert metrics["optim/grad_norm_by_update"] == [3, 1]
    assert metrics["optim/null_updates"] == 0


def test_clip_bias_by_hand() -> None:
    # Second update, five tokens of weight 1/4. mu+ = 4/5, mu- = 2/5; in units of the loss (5/4 of a mean):
    # low: 2/5 x (.5 + .5) / 5 x 5/4 = .1; high: -4/5 x (1.5 + 1.5) / 5 x 5/4 = -.6.
    # Really removed: the 0.5 with A = -1 gave back +.5/4, the 1.5 with A = 1 took -1.5/4.
    metrics = two_updates()
    assert metrics["clip_bias/expected_by_update"] == pytest.approx([0, -0.5])
    assert metrics["clip_bias/expected_low"] == pytest.approx(0.1 / 2)
    assert metrics["clip_bias/expected_high"] == pytest.approx(-0.6 / 2)
    assert metrics["clip_bias/expected"] == pytest.approx(-0.5 / 2)
    assert metrics["clip_bias/realized"] == pytest.approx((0.5 - 1.5) / 4 / 2)


def test_ratio_histogram_has_a_bin_centered_on_one_and_open_ends() -> None:
    assert len(RATIO_EDGES) == 34
    assert all(b / a == pytest.approx(2 ** (1 / 16)) for a, b in pairwise(RATIO_EDGES))
    assert RATIO_EDGES[16] * RATIO_EDGES[17] == pytest.approx(1)
    diagnostics = Diagnostics(SPEC)
    add(diagnostics, [1.0, 0.99, 1.01, 1e-9, 1e9, 2 ** (1 / 16)], [1.0] * 6)
    diagnostics.end_update(0.0)
    histogram = diagnostics.finish()["ratio/histogram"]
    assert len(histogram) == 35
    assert {i: n for i, n in enumerate(histogram) if n} == {0: 1, 17: 3, 18: 1, 34: 1}


def test_clipped_tokens_by_tenth_of_the_old_probability() -> None:
    diagnostics = Diagnostics(SPEC)
    add(diagnostics, [1.5, 0.5, 1.0], [1.0, -1.0, 1.0], old=0.02)
    add(diagnostics, [0.5, 1.0], [-1.0, 1.0], old=0.85)
    add(diagnostics, [1.0], [1.0], old=1.0)
    diagnostics.end_update(0.0)
    metrics = diagnostics.finish()
    assert metrics["ratio/tokens_by_old_probability"] == [3, 0, 0, 0, 0, 0, 0, 0, 2, 1]
    assert metrics["ratio/clipped_high_by_old_probability"] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert metrics["ratio/clipped_low_by_old_probability"] == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    "fields", [{"clip_low": None, "clip_high": None}, {"surrogate": "prob"}, {"surrogate": "logp"}]
)
def test_without_a_clip_nothing_is_clipped_but_ratios_are_seen(fields: dict[str, Any]) -> None:
    diagnostics = Diagnostics(GrpoSpec.model_validate(fields))
    add(diagnostics, [5.0, 0.1], [1.0, -1.0])
    diagnostics.end_update(0.0)
    metrics = diagnostics.finish()
    assert metrics["ratio/clip_fraction_low"] == metrics["ratio/clip_fraction_high"] == 0
    assert metrics["clip_bias/expected"] == metrics["clip_bias/realized"] == 0
    assert metrics["ratio/largest_deviation"] == pytest.approx(4)


def test_a_rollout_of_null_updates_has_the_same_keys_and_is_json() -> None:
    metrics = Diagnostics(SPEC).finish()
    assert metrics.keys() == two_updates().keys()
    assert metrics["optim/null_updates"] == 2
    assert metrics["tokens/trained"] == 0
    assert metrics["ratio/mean"] is None
    assert metrics["loss/mean"] is None
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert json.loads(json.dumps(two_updates(), allow_nan=False)) == two_updates()


def random_tokens(seed: int, n: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    old = -3 * torch.rand(n, generator=generator)
    return {
        "logprobs": old + 0.3 * torch.randn(n, generator=generator),
        "old_logprobs": old,
        "advantages": torch.randn(n, generator=generator).round(decimals=1),
        "weights": torch.rand(n, generator=generator),
        "entropies": torch.rand(n, generator=generator),
    }


@given(seed=st.integers(0, 200), n=st.integers(2, 40), data=st.data())
def test_micro_batches_add_up(seed: int, n: int, data: st.DataObject) -> None:
    tokens = random_tokens(seed, n)
    cut = data.draw(st.integers(0, n))
    clips = {"clip_low": 0.2, "clip_high": 0.28}
    parts = [measure(**{k: v[part] for k, v in tokens.items()}, **clips) for part in (slice(cut), slice(cut, n))]  # type: ignore[arg-type]
    whole = measure(**tokens, **clips)  # type: ignore[arg-type]
    together = combined(parts)
    assert together.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(together[name], value, rtol=1e-12, atol=1e-12)
    assert torch.equal(together["histogram"], whole["histogram"])
    assert update_bias(together) == pytest.approx(update_bias(whole))


@given(seed=st.integers(0, 200), n=st.integers(1, 40))
def test_estimated_bias_is_the_formula_and_realized_is_what_the_loss_lost(seed: int, n: int) -> None:
    tokens = {name: value.double() for name, value in random_tokens(seed, n).items()}
    bias = update_bias(measure(**tokens, clip_low=0.2, clip_high=0.28))  # type: ignore[arg-type]

    positive, negative = masses(tokens["advantages"], tokens["weights"])
    coefficients = bias_coefficients(
        tokens["logprobs"] - tokens["old_logprobs"],
        clip_low=0.2,
        clip_high=0.28,
        positive_mass=positive,
        negative_mass=negative,
    )
    assert bias["expected"] == pytest.approx(float((tokens["weights"] * coefficients).sum()), abs=1e-12)
    assert bias["expected_low"] >= 0 >= bias["expected_high"]

    def pushed(low: float | None, high: float | None) -> float:
        logprobs = tokens["logprobs"].clone().requires_grad_()
        grpo_loss(
            logprobs, tokens["old_logprobs"], tokens["advantages"], tokens["weights"], clip_low=low, clip_high=high
        ).backward()
        assert logprobs.grad is not None
        return -float(logprobs.grad.sum())

    assert bias["realized"] == pytest.approx(pushed(0.2, 0.28) - pushed(None, None), abs=1e-9)


def toy_tokens(actions: Tensor, advantages: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """One token a completion, of a policy over three: old .85, .1, .05; new .6, .25, .15; ratios .71, 2.5 and 3."""
    old, new = doubles([0.85, 0.1, 0.05]), doubles([0.6, 0.25, 0.15])
    return {
        "logprobs": new.log()[actions],
        "old_logprobs": old.log()[actions],
        "advantages": advantages,
        "weights": weights,
    }


def test_the_estimator_recovers_the_exact_bias_of_an_enumerable_policy() -> None:
    # A fair coin pays +1 or -1, so mu is 1/2. Low: .5 x .6 of the first action; high: -.5 x (.25 + .15) of the others.
    exact = {"expected_low": 0.3, "expected_high": -0.2, "expected": 0.1, "realized": 0.1}
    actions = torch.arange(3).repeat(2)
    coin = doubles([1, 1, 1, -1, -1, -1])
    enumerated = toy_tokens(actions, coin, doubles([0.85, 0.1, 0.05]).repeat(2) / 2)
    assert update_bias(measure(**enumerated, clip_low=0.2, clip_high=0.2)) == pytest.approx(exact)

    n = 100_000  # now from completions alone, drawn from the old policy
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(doubles([0.85, 0.1, 0.05]), n, replacement=True, generator=generator)
    paid = 2.0 * torch.randint(2, (n,), generator=generator).double() - 1
    sampled = toy_tokens(drawn, paid, torch.full((n,), 1 / n, dtype=torch.float64))
    # The largest standard error, that of `realized`, is below 1.1 / sqrt(n).
    assert update_bias(measure(**sampled, clip_low=0.2, clip_high=0.2)) == pytest.approx(exact, abs=4 * 1.1 / n**0.5)


def test_check_finite_says_where() -> None:
    check_finite("fine", torch.tensor([1.0, -1e30]))
    with pytest.raises(NumericalError, match=r"loss: 2 of 4 not finite, the first is nan at position 1"):
        check_finite("loss", torch.tensor([[1.0, math.nan], [math.inf, 0.0]]))


@pytest.mark.parametrize(
    ("which", "match"),
    [(0, "^loss"), (1, "log-probabilities of the policy"), (3, "log-probabilities of the old policy")],
)
def test_a_nan_stops_the_run_before_it_is_recorded(which: int, match: str) -> None:
    one = torch.zeros(1)
    arguments: list[Any] = [torch.tensor(0.0), one, one, one, batch_of(one, one)]
    arguments[which] = torch.full_like(arguments[which], math.nan)
    diagnostics = Diagnostics(SPEC)
    with pytest.raises(NumericalError, match=match):
        diagnostics.add(*arguments)


def test_rollout_metrics_by_hand() -> None:
    problem = Problem("p", "question", "4", "test")

    def group(rewards: tuple[float, ...], grades: list[str], strict: list[str], lengths: list[int]) -> Scored:
        completions = tuple(
            Completion("", (5,) * n, (math.log(0.5),) * n, "length" if n == 4 else "eos") for n in lengths
        )
        return Scored(
            Group(Prompt(problem, "question", (1,)), completions),
            "4",
            rewards,
            tuple(Grade(status, None) for status in grades),  # type: ignore[arg-type]
            tuple(Grade(status, None) for status in strict),  # type: ignore[arg-type]
        )

    scored = [
        group((1.0, 0.0), ["correct", "wrong"], ["correct", "absent"], [4, 1]),
        group((1.0, 1.0), ["correct", "timeout"], ["absent", "absent"], [2, 1]),
    ]
    metrics = rollout_metrics(scored, doubles([0.5, -0.5, 0, 0]).view(2, 2))
    expected = {
        "reward/mean": 0.75,
        "reward/std": math.sqrt(3) / 4,
        "truth/accuracy": 0.5,
        "truth/strict_accuracy": 0.25,
        "grade/correct": 0.5,
        "grade/wrong": 0.25,
        "grade/absent": 0,
        "grade/unparsable": 0,
        "grade/limit": 0,
        "grade/timeout": 0.25,
        "grade/failed": 0,
        "groups/signal": 0.5,
        "rows/sampled": 4,
        "tokens/sampled": 8,
        "tokens/mean_length": 2,
        "tokens/truncated": 0.25,
        "probability/sampled": 0.5,
    }
    assert metrics == pytest.approx(expected)
