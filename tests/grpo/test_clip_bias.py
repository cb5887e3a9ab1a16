import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spurious.grpo.clip_bias import bias_coefficients, masses, outside
from spurious.grpo.loss import grpo_loss

COIN = ((0.5, 1.0), (0.5, -1.0))
"""Probability and advantage of each outcome of a reward that does not look at the completion."""


def doubles(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def enumerated_gradient(
    logits: Tensor,
    old_logits: Tensor,
    advantages: Sequence[tuple[float, float]],
    low: float | None,
    high: float | None,
) -> Tensor:
    """Gradient of the objective with respect to the logits, every (outcome, advantage) weighed by its probability."""
    logits = logits.clone().requires_grad_()
    logprobs, old = logits.log_softmax(0), old_logits.log_softmax(0)
    loss = sum(
        grpo_loss(logprobs, old, torch.full_like(old, advantage), probability * old.exp(), clip_low=low, clip_high=high)
        for probability, advantage in advantages
    )
    assert isinstance(loss, Tensor)
    loss.backward()
    assert logits.grad is not None
    return -logits.grad


def formula(
    logits: Tensor,
    old_logits: Tensor,
    positive_mass: float,
    negative_mass: float,
    low: float | None,
    high: float | None,
) -> Tensor:
    """The paper's bias with grad log pi(y) = onehot(y) - pi, written out."""
    policy, old = logits.softmax(0), old_logits.softmax(0)
    coefficients = bias_coefficients(
        policy.log() - old.log(),
        clip_low=low,
        clip_high=high,
        positive_mass=positive_mass,
        negative_mass=negative_mass,
    )
    scores = torch.eye(len(policy), dtype=torch.float64) - policy  # row y: gradient of log pi(y)
    return (old * coefficients) @ scores


logit_lists = st.lists(st.floats(-2, 2), min_size=4, max_size=4).map(doubles)
bounds = st.none() | st.floats(0.01, 0.9)


@given(logits=logit_lists, old_logits=logit_lists, low=bounds, high=bounds, gamma=st.floats(0, 1))
def test_the_formula_equals_the_enumerated_difference_of_gradients(
    logits: Tensor, old_logits: Tensor, low: float | None, high: float | None, gamma: float
) -> None:
    advantages = ((gamma, 1 - gamma), (1 - gamma, -gamma))  # reward minus its mean
    mu = gamma * (1 - gamma)
    clipped = enumerated_gradient(logits, old_logits, advantages, low, high)
    unclipped = enumerated_gradient(logits, old_logits, advantages, None, None)
    torch.testing.assert_close(unclipped, torch.zeros_like(unclipped), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        clipped - unclipped, formula(logits, old_logits, mu, mu, low, high), rtol=1e-9, atol=1e-12
    )


@given(logits=logit_lists, old_logits=logit_lists)
def test_the_formula_holds_for_advantages_that_do_not_average_to_zero(logits: Tensor, old_logits: Tensor) -> None:
    advantages = ((0.3, 2.0), (0.5, -0.5), (0.2, 0.0))
    clipped = enumerated_gradient(logits, old_logits, advantages, 0.2, 0.2)
    unclipped = enumerated_gradient(logits, old_logits, advantages, None, None)
    expected = formula(logits, old_logits, 0.6, 0.25, 0.2, 0.2)
    torch.testing.assert_close(clipped - unclipped, expected, rtol=1e-9, atol=1e-12)


@given(logits=logit_lists)
def test_zero_on_the_first_update(logits: Tensor) -> None:
    assert not formula(logits, logits, 0.5, 0.5, 0.2, 0.2).any()
    assert not formula(logits, logits, 0.5, 0.5, 0.0, 0.0).any()


@given(logits=logit_lists, step=st.lists(st.floats(-0.09, 0.09), min_size=4, max_size=4).map(doubles))
def test_zero_while_every_ratio_is_inside_the_band(logits: Tensor, step: Tensor) -> None:
    # Logits that move by less than d move log-probabilities by less than 2 d, and 0.18 < log 1.2 < -log 0.8.
    assert not formula(logits + step, logits, 0.5, 0.5, 0.2, 0.2).any()


@given(logits=logit_lists, old_logits=logit_lists)
def test_zero_without_bounds_and_without_reward(logits: Tensor, old_logits: Tensor) -> None:
    assert not formula(logits, old_logits, 0.5, 0.5, None, None).any()
    assert not formula(logits, old_logits, 0.0, 0.0, 0.2, 0.2).any()  # gamma = 0: every advantage is 0


def test_outside_the_band_it_pulls_back() -> None:
    log_ratio = doubles([0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 3.0]).log()
    coefficients = bias_coefficients(log_ratio, clip_low=0.2, clip_high=0.2, positive_mass=0.5, negative_mass=0.5)
    torch.testing.assert_close(coefficients, doubles([0.25, 0.395, 0, 0, 0, -0.605, -1.5]))


def test_each_side_alone() -> None:
    log_ratio = doubles([0.5, 3.0]).log()
    masses_of_coin = {"positive_mass": 0.5, "negative_mass": 0.5}
    low_only = bias_coefficients(log_ratio, clip_low=0.2, clip_high=None, **masses_of_coin)
    high_only = bias_coefficients(log_ratio, clip_low=None, clip_high=0.2, **masses_of_coin)
    torch.testing.assert_close(low_only, doubles([0.25, 0]))
    torch.testing.assert_close(high_only, doubles([0, -1.5]))


def test_worked_example_a_likely_token_is_never_pushed_down() -> None:
    # pi_old = .85, eps = .2: the band is [.68, 1.02], its upper end is no probability.
    policies = torch.linspace(0.001, 1, 1000, dtype=torch.float64)
    coefficients = bias_coefficients(
        policies.log() - math.log(0.85), clip_low=0.2, clip_high=0.2, positive_mass=0.5, negative_mass=0.5
    )
    assert (coefficients >= 0).all()
    torch.testing.assert_close(coefficients > 0, policies < 0.68)


def test_worked_example_an_unlikely_token_is_held_in_a_narrow_band() -> None:
    # pi_old = .02: the band is [.016, .024].
    policies = doubles([0.0159, 0.0161, 0.02, 0.0239, 0.0241, 0.5])
    coefficients = bias_coefficients(
        policies.log() - math.log(0.02), clip_low=0.2, clip_high=0.2, positive_mass=0.5, negative_mass=0.5
    )
    assert coefficients.sign().tolist() == [1, 0, 0, 0, -1, -1]


@pytest.mark.parametrize("gamma", [0.5, 0.3, 0.001])
def test_masses_of_a_standardized_coin(gamma: float) -> None:
    spread = math.sqrt(gamma * (1 - gamma))
    advantages, probabilities = doubles([(1 - gamma) / spread, -gamma / spread]), doubles([gamma, 1 - gamma])
    positive, negative = masses(advantages, 5 * probabilities)
    assert (positive.item(), negative.item()) == pytest.approx((spread, spread))


def test_outside_agrees_with_the_gradient_of_the_loss() -> None:
    log_ratio = torch.linspace(-1, 1, 4001, dtype=torch.float32)
    below, above = outside(log_ratio, clip_low=0.2, clip_high=0.28)
    for sign, clipped in ((1.0, above), (-1.0, below)):
        logprobs = log_ratio.clone().requires_grad_()
        old, ones = torch.zeros_like(log_ratio), torch.ones_like(log_ratio)
        grpo_loss(logprobs, old, sign * ones, ones, clip_low=0.2, clip_high=0.28).backward()
        assert logprobs.grad is not None
        assert torch.equal(logprobs.grad == 0, clipped)
