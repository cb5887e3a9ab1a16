"""Rewards made relative: pure tensor functions, float64 in and out.

Order of the operators: advantage within the group (or batch), then whitening if asked for, then the weights of the
two signs. Every function maps rewards without spread to exactly zero, so that an arm without signal has no gradient.
"""

from typing import Literal

import torch
from torch import Tensor

from spurious.grpo.epsilons import STD_EPS, WHITEN_VARIANCE_FLOOR

Kind = Literal["group_std", "group_mean", "rloo", "batch", "none"]
"""How a reward becomes an advantage; the words of `spurious.specs.GrpoSpec.advantage`."""


def credit(
    rewards: Tensor,
    lengths: Tensor,
    *,
    kind: Kind,
    whitened: bool = False,
    positive_weight: float = 1.0,
    negative_weight: float = 1.0,
) -> Tensor:
    """(P, G) advantages of a rollout batch from its (P, G) rewards and its completions' (P, G) lengths in tokens.

    The operators of this module in their order; `lengths` matters only when `whitened`.
    """
    advantages = group_advantages(rewards, kind=kind)
    if whitened:
        advantages = whiten(advantages.flatten(), lengths.flatten()).view_as(advantages)
    return weigh_signs(advantages, positive=positive_weight, negative=negative_weight)


def group_advantages(rewards: Tensor, *, kind: Kind) -> Tensor:
    """(P, G) float64 advantages from (P, G) rewards; a row is a group.

    `group_std`: (r - mean) / (std + 1e-9), std with G - 1 in the denominator (the paper's appendix A.1 and its code).
    `group_mean`: r - mean (Dr. GRPO). `rloo`: r - mean of the other G - 1. `batch`: (r - mean) / (std + 1e-9) over all
    P x G. `none`: r itself. Except for `none`, equal rewards give exactly 0.

    >>> group_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), kind="rloo")
    tensor([[ 1.0000, -0.3333, -0.3333, -0.3333]], dtype=torch.float64)
    """
    rewards = rewards.to(torch.float64)
    if kind == "none":
        return rewards
    if kind == "batch":
        return _standardized(rewards.reshape(1, -1)).view_as(rewards)
    if kind == "group_std":
        return _standardized(rewards)
    if kind == "group_mean":
        return _centered(rewards)
    if kind == "rloo":
        size = rewards.shape[1]
        return _centered(rewards) * (size / (size - 1))
    raise ValueError(f"advantage must be group_std, group_mean, rloo, batch or none, not {kind!r}")


def whiten(advantages: Tensor, lengths: Tensor) -> Tensor:
    """(R,) advantages normalized over all tokens of the rollout batch; `lengths` (R,) counts each completion's tokens.

    Subtracts the token-weighted mean and divides by the token-weighted standard deviation (the number of tokens in the
    denominator, variance at least 1e-8), as the paper's code does after its group normalization. It shifts short and
    long completions differently, and gives groups of equal rewards an advantage wherever the batch mean is not zero.
    """
    advantages, tokens = advantages.to(torch.float64), lengths.to(torch.float64)
    shifted = advantages - advantages.min()
    n_tokens = tokens.sum().clamp(min=1)
    centered = shifted - (shifted * tokens).sum() / n_tokens
    variance = (centered.square() * tokens).sum() / n_tokens
    return centered * variance.clamp(min=WHITEN_VARIANCE_FLOOR).rsqrt()


def weigh_signs(advantages: Tensor, *, positive: float, negative: float) -> Tensor:
    """Advantages of either sign times their weight: `negative` = 0 keeps only the praise (Zhu et al. 2025)."""
    return torch.where(advantages > 0, advantages * positive, advantages * negative)


def _centered(rewards: Tensor) -> Tensor:
    # The mean of sixteen times 0.1 need not be 0.1; the mean of sixteen zeros is 0. Hence the shift by the minimum.
    shifted = rewards - rewards.amin(dim=1, keepdim=True)
    return shifted - shifted.mean(dim=1, keepdim=True)


def _standardized(rewards: Tensor) -> Tensor:
    centered = _centered(rewards)
    size = rewards.shape[1]
    std = (centered.square().sum(dim=1, keepdim=True) / max(size - 1, 1)).sqrt()
    return centered / (std + STD_EPS)
