"""The GRPO loss over flat completion tokens: pure tensor functions.

Every tensor here is (N,): one entry a completion token of the rows at hand. The weight of a token is fixed before the
forward pass, from the lengths of *all* rows of the update, so the losses of an update's micro-batches add up to the
loss of the whole, and rows left out because nothing can be learned from them still count.
"""

import math
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["sequence", "token", "constant"]
"""How tokens are averaged; the words of `spurious.specs.GrpoSpec.length_norm`."""

Surrogate = Literal["ratio", "logp", "prob"]
"""What multiplies the advantage; the words of `spurious.specs.GrpoSpec.surrogate`."""


def loss_denominator(lengths: Tensor, *, norm: Norm, max_tokens: int) -> float:
    """What the weights of one update are divided by, from the (R,) lengths in tokens of all its rows.

    `sequence`: R. `token`: the number of tokens, at least 1. `constant`: R x `max_tokens`, the longest a completion
    may be. They are TRL's `grpo`, `bnpo` and `dr_grpo`.
    """
    if norm == "sequence":
        return float(len(lengths))
    if norm == "token":
        return float(lengths.sum().clamp(min=1))
    if norm == "constant":
        return float(len(lengths) * max_tokens)
    raise ValueError(f"length_norm must be sequence, token or constant, not {norm!r}")


def token_weights(lengths: Tensor, *, norm: Norm, denominator: float) -> Tensor:
    """(N,) float32 weights of the tokens of rows with (R,) `lengths`, N their sum; see `loss_denominator`.

    Over all rows of an update the weights sum to 1 for `sequence` and `token`, and to less for `constant`.
    """
    if denominator <= 0:
        raise ValueError(f"the loss needs a positive denominator, not {denominator}")
    per_row = torch.full(lengths.shape, 1 / denominator, dtype=torch.float64, device=lengths.device)
    if norm == "sequence":
        per_row = per_row / lengths.clamp(min=1)
    return per_row.repeat_interleave(lengths).to(torch.float32)


def surrogate_objective(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    *,
    clip_low: float | None,
    clip_high: float | None,
    surrogate: Surrogate = "ratio",
) -> Tensor:
    """(N,) what the policy is asked to increase, token by token.

    `ratio`: min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A) with rho = exp(logprobs - old_logprobs), the paper's
    equation 1. Only one side binds for either sign: where A > 0 it is min(rho, 1 + clip_high) A, where A < 0 it is
    max(rho, 1 - clip_low) A; a token exactly on its bound keeps its gradient. A bound of None is absent and nothing
    stands in for it.
    `logp`: A log pi, the policy gradient without a ratio. `prob`: A pi, which the paper's public code calls no clip.
    Neither has a ratio, so the bounds do not apply.
    """
    if surrogate == "logp":
        return logprobs * advantages
    if surrogate == "prob":
        return logprobs.exp() * advantages
    if surrogate != "ratio":
        raise ValueError(f"surrogate must be ratio, logp or prob, not {surrogate!r}")
    # Bounding the logarithm gives a clipped token gradient 0 even where the ratio itself would overflow to infinity.
    # Not by `clamp`: from torch 2.14 on it gives a value on its bound another gradient.
    log_ratio = bounded = logprobs - old_logprobs
    if clip_high is not None:
        upper = log_upper_bound(clip_high)
        bounded = torch.where((advantages > 0) & (log_ratio > upper), upper, bounded)
    if clip_low is not None:
        lower = log_lower_bound(clip_low)
        bounded = torch.where((advantages < 0) & (log_ratio < lower), lower, bounded)
    return bounded.exp() * advantages


def log_lower_bound(clip_low: float) -> float:
    """log(1 - clip_low); minus infinity for clip_low = 1, which no ratio reaches."""
    return math.log1p(-clip_low) if clip_low < 1 else -math.inf


def log_upper_bound(clip_high: float) -> float:
    """log(1 + clip_high)."""
    return math.log1p(clip_high)


def k3(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """(N,) Schulman's k3 estimate of KL(policy || reference) in nats: exp(d) - 1 - d with d = reference - policy.

    Never negative; unbiased for tokens drawn from the policy.
    """
    difference = reference_logprobs - logprobs
    return difference.expm1() - difference


def grpo_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    weights: Tensor,
    *,
    clip_low: float | None,
    clip_high: float | None,
    surrogate: Surrogate = "ratio",
    kl: float = 0.0,
    reference_logprobs: Tensor | None = None,
    entropy_bonus: float = 0.0,
    entropies: Tensor | None = None,
) -> Tensor:
    """Scalar loss of N completion tokens: minus the weighted sum of surrogate - kl x k3 + entropy_bonus x entropy.

    All tensors (N,). `weights` come from `token_weights`; only `logprobs` and `entropies` carry a gradient.
    """
    objective = surrogate_objective(
        logprobs, old_logprobs, advantages, clip_low=clip_low, clip_high=clip_high, surrogate=surrogate
    )
    if kl:
        if reference_logprobs is None:
            raise ValueError("a KL term needs reference_logprobs")
        objective = objective - kl * k3(logprobs, reference_logprobs)
    if entropy_bonus:
        if entropies is None:
            raise ValueError("an entropy bonus needs entropies")
        objective = objective + entropy_bonus * entropies
    return -(weights * objective).sum()
