"""Scored groups to the tensors of M optimizer updates.

A *row* is one completion; row i of a rollout batch is completion `i % G` of group `i // G`. Tensors are flat over the
completion tokens of the rows at hand: (N,), row after row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from spurious.errors import DataError, SpecError
from spurious.grpo.loss import loss_denominator, token_weights
from spurious.keys import permutation
from spurious.policy.logprobs import Row
from spurious.specs import GrpoSpec
from spurious.types import Completion, Scored


@dataclass(frozen=True, slots=True)
class Minibatch:
    """The part of one optimizer update that needs a forward pass: R rows with N completion tokens in all."""

    rows: tuple[Row, ...]
    """R prompts and completions as token ids."""
    indices: tuple[int, ...]
    """(R,) which rows of the rollout batch these are."""
    sampler_logprobs: Tensor
    """(N,) float32, of the policy that sampled."""
    advantages: Tensor
    """(N,) float32, each row's advantage at each of its tokens."""
    weights: Tensor
    """(N,) float32, each token's weight in the loss; fixed by all rows of the update, those left out included."""

    @property
    def lengths(self) -> list[int]:
        """(R,) completion tokens of each row."""
        return [len(row.completion_ids) for row in self.rows]

    def select(self, positions: Sequence[int]) -> "Minibatch":
        """The micro-batch of the rows at `positions`, in that order; weights are kept, so losses add up."""
        if not positions:
            raise ValueError("a micro-batch needs at least one row")

        def picked(tokens: Tensor) -> Tensor:
            parts = tokens.split(self.lengths)
            return torch.cat([parts[position] for position in positions])

        return Minibatch(
            rows=tuple(self.rows[position] for position in positions),
            indices=tuple(self.indices[position] for position in positions),
            sampler_logprobs=picked(self.sampler_logprobs),
            advantages=picked(self.advantages),
            weights=picked(self.weights),
        )


def updates(n_prompts: int, group_size: int, m: int, *, keep_groups_together: bool, seed_key: int) -> list[list[int]]:
    """The rows of each of `m` updates over a rollout batch of `n_prompts` x `group_size` rows, drawn by `seed_key`.

    Rows, or whole groups if they are kept together, are shuffled and cut into `m` parts whose sizes differ by at most
    one; the larger parts come first. Within an update rows ascend, so that completions of one prompt are neighbors.
    Raises `SpecError` where there is not at least one row or group for every update.
    """
    n_units = n_prompts if keep_groups_together else n_prompts * group_size
    if m > n_units:
        unit = "prompts kept together" if keep_groups_together else "completions"
        raise SpecError(f"grpo.updates_per_rollout is {m}, but a rollout batch has only {n_units} {unit}")
    size = group_size if keep_groups_together else 1
    order = permutation(seed_key, n_units)
    share, extra = divmod(n_units, m)
    cuts = [update * share + min(update, extra) for update in range(m + 1)]
    return [
        sorted(unit * size + i for unit in order[start:stop] for i in range(size)) for start, stop in pairwise(cuts)
    ]


def minibatch(
    scored: Sequence[Scored],
    advantages: Tensor,
    indices: Sequence[int],
    *,
    spec: GrpoSpec,
    max_tokens: int,
    device: torch.device | str = "cpu",
) -> Minibatch:
    """One update over the rows `indices` of a rollout batch of P groups with their (P, G) `advantages`.

    Rows whose advantage is exactly 0 are left out unless a KL term or an entropy bonus speaks about them too; the loss
    and its gradient stay those of the full computation, as the denominator counts every row. So are completions
    without a token. `max_tokens` is the sampling limit, the denominator of `length_norm: constant`. The result may
    have no rows at all: that is a null update.
    """
    size = advantages.shape[1]
    completions = [scored[index // size].group.completions[index % size] for index in indices]
    per_row = advantages.flatten()[list(indices)].to(torch.float32)
    lengths = torch.tensor([len(completion.token_ids) for completion in completions], dtype=torch.int64)
    denominator = loss_denominator(lengths, norm=spec.length_norm, max_tokens=max_tokens)

    every_row_matters = spec.kl > 0 or spec.entropy_bonus != 0
    keep = ((per_row != 0) | every_row_matters) & (lengths > 0)
    kept = keep.nonzero().flatten().tolist()
    kept_lengths = lengths[keep]
    return Minibatch(
        rows=tuple(Row(scored[indices[i] // size].group.prompt.token_ids, completions[i].token_ids) for i in kept),
        indices=tuple(indices[i] for i in kept),
        sampler_logprobs=torch.tensor(
            [logprob for i in kept for logprob in _sampler_logprobs(completions[i], scored, indices[i], size)],
            dtype=torch.float32,
            device=device,
        ),
        advantages=per_row[keep].repeat_interleave(kept_lengths).to(device),
        weights=token_weights(kept_lengths, norm=spec.length_norm, denominator=denominator).to(device),
    )


def _sampler_logprobs(
    completion: Completion, scored: Sequence[Scored], index: int, group_size: int
) -> tuple[float, ...]:
    if len(completion.sampler_logprobs) != len(completion.token_ids):
        problem = scored[index // group_size].group.prompt.problem.id
        raise DataError(
            f"sampler_logprobs: completion {index % group_size} of problem {problem} has "
            f"{len(completion.token_ids)} tokens and {len(completion.sampler_logprobs)} sampler log-probabilities"
        )
    return completion.sampler_logprobs
