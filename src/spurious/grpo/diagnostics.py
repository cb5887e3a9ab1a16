"""What an optimizer update did, measured on the tokens it trained on; and what a rollout batch was like.

Micro-batches are summed first and divided last, so the numbers do not depend on how an update was cut. Rows left out
of the forward pass for want of signal are not seen here; `tokens/trained` beside `tokens/sampled` says how many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from spurious.errors import NumericalError
from spurious.grpo.batch import Minibatch
from spurious.grpo.clip_bias import outside
from spurious.specs import GrpoSpec
from spurious.store.tables import RATIO_EDGES
from spurious.types import Scored, Status

PROBABILITY_EDGES = tuple(k / 10 for k in range(1, 10))
"""Inner edges of the tenths of the old probability. Fixed, not quantiles: the clip's bounds are about absolute
probabilities (at 0.85 an upper bound of 1.2 is out of reach), and fixed cells add up over updates and runs."""

Sums = dict[str, Tensor]
"""Float64 sums over tokens, scalars and lists, on the CPU."""


def check_finite(name: str, values: Tensor) -> None:
    """Raise `NumericalError` that says how many entries of `values` are a NaN or an infinity, and which is first."""
    broken = ~torch.isfinite(values)
    if broken.any():
        first = int(broken.flatten().nonzero()[0])
        raise NumericalError(
            f"{name}: {int(broken.sum())} of {values.numel()} not finite, "
            f"the first is {values.flatten()[first].item()} at position {first}"
        )


@torch.no_grad()
def measure(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    weights: Tensor,
    entropies: Tensor | None = None,
    *,
    clip_low: float | None,
    clip_high: float | None,
) -> Sums:
    """Sums over N tokens, all tensors (N,); add those of an update's micro-batches with `combined`."""
    log_ratio = logprobs - old_logprobs
    below, above = outside(log_ratio, clip_low=clip_low, clip_high=clip_high)
    positive, negative = advantages > 0, advantages < 0
    clipped_low, clipped_high = below & negative, above & positive
    log_ratio, weights, advantages = log_ratio.double(), weights.double(), advantages.double()
    ratio = log_ratio.exp()
    tenth = _bins(old_logprobs.double().exp(), PROBABILITY_EDGES)
    tenths = len(PROBABILITY_EDGES) + 1
    scalars = {
        "tokens": torch.ones_like(ratio),
        "positive": positive,
        "negative": negative,
        "below_positive": below & positive,
        "below_negative": clipped_low,
        "above_positive": clipped_high,
        "above_negative": above & negative,
        "ratio": ratio,
        "k3": log_ratio.expm1() - log_ratio,
        "probability": logprobs.double().exp(),
        "entropy": torch.zeros_like(ratio) if entropies is None else entropies.double(),
        "weight": weights,
        "positive_mass": weights * advantages.clamp(min=0),
        "negative_mass": weights * (-advantages).clamp(min=0),
        "ratio_below": weights * ratio * below,
        "ratio_above": weights * ratio * above,
        "removed_low": weights * ratio * -advantages * clipped_low,
        "removed_high": weights * ratio * -advantages * clipped_high,
    }
    lists = {
        "histogram": torch.bincount(_bins(ratio, RATIO_EDGES), minlength=len(RATIO_EDGES) + 1),
        "tenth": torch.bincount(tenth, minlength=tenths),
        "tenth_low": torch.bincount(tenth[clipped_low], minlength=tenths),
        "tenth_high": torch.bincount(tenth[clipped_high], minlength=tenths),
    }
    sums = torch.stack([value.double().sum() for value in scalars.values()]).cpu()
    largest = log_ratio.expm1().abs().max().cpu() if len(log_ratio) else torch.tensor(0.0, dtype=torch.float64)
    return {
        **dict(zip(scalars, sums, strict=True)),
        **{name: counts.double().cpu() for name, counts in lists.items()},
        "largest_deviation": largest,
    }


def combined(parts: Iterable[Sums]) -> Sums:
    """The sums of several batches of tokens as those of one."""
    total: Sums = {}
    for part in parts:
        for name, value in part.items():
            merge = torch.maximum if name == "largest_deviation" else torch.add
            total[name] = merge(total[name], value) if name in total else value
    return total


def update_bias(sums: Sums) -> dict[str, float]:
    """The clip bias of one update (see `clip_bias.py`), as the net coefficient on grad log pi in units of the loss.

    `expected_low` (at least 0: raises what fell below the band) and `expected_high` (at most 0: lowers what rose above
    it) estimate the paper's formula from this update's advantages and ratios as if they were independent, and
    `expected` is their sum; `realized` is what the clip has really taken from this update's gradient.
    """
    total = float(sums["weight"]) or 1.0
    low = float(sums["negative_mass"] * sums["ratio_below"]) / total
    high = -float(sums["positive_mass"] * sums["ratio_above"]) / total
    realized = float(sums["removed_low"] + sums["removed_high"])
    return {"expected_low": low, "expected_high": high, "expected": low + high, "realized": realized}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one micro-batch did."""

    sums: Sums
    loss: float
    """Its share of the update's loss."""
    rows: int


class Diagnostics:
    """Collects the M updates over one rollout batch: `add` each micro-batch, `end_update`, and at the end `finish`."""

    def __init__(self, spec: GrpoSpec) -> None:
        """Measure against the clip of `spec`; surrogates without a ratio have none."""
        clips = spec.surrogate == "ratio"
        self.clip_low = spec.clip_low if clips else None
        self.clip_high = spec.clip_high if clips else None
        self.updates_per_rollout = spec.updates_per_rollout
        self.parts: list[Measured] = []
        """The micro-batches of the update at hand; those of other processes may be put beside them before its end."""
        self._rows = 0
        self._updates: list[Sums] = []
        self._losses: list[float] = []
        self._grad_norms: list[float] = []
        self._has_entropy = False

    def add(
        self, loss: Tensor, logprobs: Tensor, entropies: Tensor | None, old_logprobs: Tensor, batch: Minibatch
    ) -> None:
        """One micro-batch: its scalar loss and (N,) tensors. Raises `NumericalError` before a NaN can reach weights."""
        check_finite("log-probabilities of the policy", logprobs)
        check_finite("log-probabilities of the old policy", old_logprobs)
        check_finite("loss", loss)
        sums = measure(
            logprobs.detach(),
            old_logprobs,
            batch.advantages,
            batch.weights,
            None if entropies is None else entropies.detach(),
            clip_low=self.clip_low,
            clip_high=self.clip_high,
        )
        self.parts.append(Measured(sums, float(loss.detach()), len(batch.rows)))
        self._has_entropy = entropies is not None

    def end_update(self, grad_norm: float) -> None:
        """All micro-batches of one update were added; `grad_norm` is its gradient's 2-norm before clipping."""
        self._updates.append(combined(part.sums for part in self.parts))
        self._losses.append(sum(part.loss for part in self.parts))
        self._rows += sum(part.rows for part in self.parts)
        self._grad_norms.append(grad_norm)
        self.parts = []

    def finish(self) -> dict[str, Any]:
        """The metrics of the rollout batch: floats, lists, and null where there is nothing to average.

        Means are over the trained tokens of all updates, `loss/mean`, `optim/grad_norm` and `clip_bias/*` over the
        updates that were taken; a `..._by_update` list has one entry for each of those. Lists by tenth of the old
        probability and the histogram (bins of `RATIO_EDGES`) are counts of tokens.
        """
        taken = len(self._updates)
        metrics = {
            "rows/trained": float(self._rows),
            "optim/null_updates": float(self.updates_per_rollout - taken),
            "optim/grad_norm": _mean(self._grad_norms),
            "optim/grad_norm_by_update": self._grad_norms,
            "loss/mean": _mean(self._losses),
        }
        nothing = measure(*[torch.zeros(0)] * 4, clip_low=None, clip_high=None)
        sums = combined([nothing, *self._updates])
        biases = [update_bias(update) for update in self._updates]
        return (
            metrics
            | _token_metrics(sums, has_entropy=self._has_entropy)
            | {f"clip_bias/{name}": _mean([bias[name] for bias in biases]) for name in update_bias(nothing)}
            | {
                "clip_bias/expected_by_update": [bias["expected"] for bias in biases],
                "ratio/largest_deviation_by_update": [float(u["largest_deviation"]) for u in self._updates],
                "ratio/clip_fraction_by_update": [
                    float((u["below_negative"] + u["above_positive"]) / u["tokens"]) for u in self._updates
                ],
            }
        )


def rollout_metrics(scored: Sequence[Scored], advantages: Tensor) -> dict[str, Any]:
    """What was sampled, paid and true in one rollout batch of P groups with (P, G) `advantages`.

    `truth/*` is lenient unless it says strict; `grade/*` are the shares of the lenient statuses, so that a verifier
    that fails is seen; `groups/signal` is the share of groups in which any advantage differs from 0.
    """
    completions = [completion for one in scored for completion in one.group.completions]
    rewards = torch.tensor([reward for one in scored for reward in one.rewards], dtype=torch.float64)
    statuses = [grade.status for one in scored for grade in one.grades]
    strict = [grade.correct for one in scored for grade in one.strict_grades]
    sampled = torch.tensor([x for c in completions for x in c.sampler_logprobs], dtype=torch.float64)
    lengths = [len(completion.token_ids) for completion in completions]
    return {
        "reward/mean": float(rewards.mean()),
        "reward/std": float(rewards.std(correction=0)),
        "truth/accuracy": statuses.count("correct") / len(statuses),
        "truth/strict_accuracy": strict.count(True) / len(strict),
        **{f"grade/{status}": statuses.count(status) / len(statuses) for status in get_args(Status)},
        "groups/signal": float((advantages != 0).any(dim=1).double().mean()),
        "rows/sampled": float(len(completions)),
        "tokens/sampled": float(sum(lengths)),
        "tokens/mean_length": sum(lengths) / len(lengths),
        "tokens/truncated": [completion.stop for completion in completions].count("length") / len(completions),
        "probability/sampled": float(sampled.exp().mean()) if len(sampled) else None,
    }


def _token_metrics(sums: Sums, *, has_entropy: bool) -> dict[str, Any]:
    def per(name: str, whole: str) -> float | None:
        return float(sums[name] / sums[whole]) if sums[whole] else None

    return {
        "tokens/trained": float(sums["tokens"]),
        "ratio/mean": per("ratio", "tokens"),
        "ratio/largest_deviation": float(sums["largest_deviation"]),
        "ratio/histogram": sums["histogram"].tolist(),
        "ratio/clip_fraction_low": per("below_negative", "tokens"),
        "ratio/clip_fraction_high": per("above_positive", "tokens"),
        **{
            f"ratio/{side}_{sign}": per(f"{side}_{sign}", sign)
            for sign in ("positive", "negative")
            for side in ("below", "above")
        },
        "ratio/tokens_by_old_probability": sums["tenth"].tolist(),
        "ratio/clipped_low_by_old_probability": sums["tenth_low"].tolist(),
        "ratio/clipped_high_by_old_probability": sums["tenth_high"].tolist(),
        "probability/mean": per("probability", "tokens"),
        "entropy/mean": per("entropy", "tokens") if has_entropy else None,
        "kl/old": per("k3", "tokens"),
    }


def _bins(values: Tensor, edges: Sequence[float]) -> Tensor:
    return torch.bucketize(values, torch.tensor(edges, dtype=torch.float64, device=values.device), right=True)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
