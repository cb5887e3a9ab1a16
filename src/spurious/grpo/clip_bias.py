"""What clipping does to a policy when rewards carry no information: the paper's bias, exactly and as an estimate.

Appendix B.1.2 of the paper (Shao et al. 2025): with R the ratio, and advantages that do not depend on the completion,

    E[grad clipped] - E[grad unclipped] = E[ mu- grad R  where R < 1 - clip_low;  -mu+ grad R  where R > 1 + clip_high ]

with mu+ = E[max(A, 0)], mu- = E[max(-A, 0)], and completions drawn from the old policy. The paper has E[A] = 0, so one
mu = mu+ = mu-; keeping both is exact for any mean. As grad R = R grad log pi, the bias is a coefficient a token: it
pulls ratios back into the band, is zero inside it, and so zero in the first update over a rollout batch.
"""

import torch
from torch import Tensor

from spurious.grpo.loss import log_lower_bound, log_upper_bound


def masses(advantages: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Scalars mu+ and mu-: the weighted means of max(A, 0) and max(-A, 0) over (N,) tokens or outcomes.

    For a reward that is 1 with probability gamma in large groups both are sqrt(gamma (1 - gamma)).
    """
    total = weights.sum()
    return (weights * advantages.clamp(min=0)).sum() / total, (weights * (-advantages).clamp(min=0)).sum() / total


def outside(log_ratio: Tensor, *, clip_low: float | None, clip_high: float | None) -> tuple[Tensor, Tensor]:
    """Two (N,) masks: below 1 - clip_low, above 1 + clip_high. Nothing lies beyond a bound that is absent."""
    nowhere = torch.zeros_like(log_ratio, dtype=torch.bool)
    below = nowhere if clip_low is None else log_ratio < log_lower_bound(clip_low)
    above = nowhere if clip_high is None else log_ratio > log_upper_bound(clip_high)
    return below, above


def bias_coefficients(
    log_ratio: Tensor,
    *,
    clip_low: float | None,
    clip_high: float | None,
    positive_mass: Tensor | float,
    negative_mass: Tensor | float,
) -> Tensor:
    """(N,) coefficients c such that the bias is E[c grad log pi] over completions of the old policy.

    Above 0 where clipping raises a token's probability, below 0 where it lowers it. `positive_mass` and
    `negative_mass` are mu+ and mu- of `masses`; `log_ratio` (N,) is log pi - log pi_old.
    """
    below, above = outside(log_ratio, clip_low=clip_low, clip_high=clip_high)
    ratio = log_ratio.exp()
    return negative_mass * (ratio * below) - positive_mass * (ratio * above)
