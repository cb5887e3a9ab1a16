"""What training changes: weights and optimizer. One call of `learn` is the M updates over one rollout batch."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from spurious.errors import NumericalError, StoreError
from spurious.grpo.batch import Minibatch, minibatch, updates
from spurious.grpo.diagnostics import Diagnostics
from spurious.grpo.loss import grpo_loss, k3
from spurious.grpo.optimizer import (
    learning_rate,
    load_state,
    make_optimizer,
    null_update,
    set_learning_rate,
    state_groups,
    state_tensors,
)
from spurious.keys import key
from spurious.policy.logprobs import Row, completion_logprobs, even_budget, micro_batches, shares_prompts
from spurious.policy.lora import switched_off
from spurious.policy.model import Policy, save
from spurious.policy.threads import add_gradients, in_threads, replicas, threads_for
from spurious.policy.vocabulary import TokenLogprobs
from spurious.specs import RunSpec
from spurious.types import Group, Scored


@dataclass(frozen=True)
class MicroBatch:
    """Rows that share one forward and backward pass, and the log-probabilities their ratio is taken against."""

    batch: Minibatch
    old_logprobs: Tensor
    """(N,) by `GrpoSpec.old_logprobs`."""


class Learner:
    """The policy being trained, its optimizer, and the policy it started from.

    Where an adapter is trained, that is the policy itself: the adapter is switched off while the reference speaks.
    """

    def __init__(self, spec: RunSpec, policy: Policy, reference: Policy | None, checkpoint: Path | None = None) -> None:
        """Start from `policy`; with a checkpoint, whose weights `policy` already has, go on from its optimizer."""
        self.spec, self.policy, self.reference = spec, policy, reference
        self._policies = replicas(policy, threads_for(policy.model))
        """One for each micro-batch that is computed at once: `policy` itself, and replicas of it."""
        self.optimizer = make_optimizer(policy.model.parameters(), spec.grpo)
        if checkpoint is not None:
            restore_optimizer(self.optimizer, checkpoint, policy.device)

    def learn(self, step: int, scored: Sequence[Scored], advantages: Tensor) -> dict[str, Any]:
        """Take the M updates of rollout batch `step` and return its diagnostics.

        `update/norm` among them is the 2-norm of the whole change of the weights, so that a step can be seen to be
        large where its signal was small (Adam scales a rare gradient up, and momentum moves on without any).
        """
        grpo = self.spec.grpo
        parts = updates(
            len(scored),
            grpo.group_size,
            grpo.updates_per_rollout,
            keep_groups_together=grpo.keep_groups_together,
            seed_key=key(self.spec.seed, "updates", step),
        )
        batches = [self._micro_batches(scored, advantages, part) for part in parts]
        diagnostics = Diagnostics(grpo)
        before = snapshot(self.policy.model)
        for m, micro in enumerate(batches):
            set_learning_rate(self.optimizer, self._learning_rate(step, m))
            if micro:
                try:
                    self._update(micro, diagnostics)
                except NumericalError as error:
                    raise NumericalError(f"update {m + 1} of {len(batches)}: {error}") from error
            else:
                null_update(self.optimizer, grpo.null_updates)
        norm = moved(self.policy.model, before)
        if not isfinite(norm):
            raise NumericalError(f"the weights are not finite after the updates (their change has the norm {norm})")
        return {**diagnostics.finish(), "update/norm": norm}

    def kl_to_start(self, groups: Sequence[Group]) -> float | None:
        """How far the sampling policy has moved; see `kl_to`."""
        return None if self.reference is None else kl_to(self.reference, self.spec, groups)

    def save(self, directory: Path, step: int) -> None:
        """Write weights, tokenizer, optimizer and step into a checkpoint directory."""
        save(self.policy, directory)
        save_optimizer(state_tensors(self.optimizer), state_groups(self.optimizer), directory, step)

    def _micro_batches(self, scored: Sequence[Scored], advantages: Tensor, part: Sequence[int]) -> list[MicroBatch]:
        """Cut one update by the token budget; old log-probabilities are recomputed, if so, on the very same cuts."""
        batch = minibatch(
            scored,
            advantages,
            part,
            spec=self.spec.grpo,
            max_tokens=self.spec.sampling.max_tokens,
            device=self.policy.device,
        )
        cuts = [batch.select(cut) for cut in cut_rows(self.spec, self.policy, batch.rows, len(self._policies))]
        if self.spec.grpo.old_logprobs == "sampler":
            return [MicroBatch(cut, cut.sampler_logprobs) for cut in cuts]
        old = in_threads(partial(_logprobs_now, self.spec, self.policy), cuts, len(self._policies))
        return [MicroBatch(cut, logprobs) for cut, logprobs in zip(cuts, old, strict=True)]

    def _update(self, micro: Sequence[MicroBatch], diagnostics: Diagnostics) -> None:
        """One optimizer step on gradients accumulated over the micro-batches, as many at once as there are policies."""
        at_once = len(self._policies)
        for start in range(0, len(micro), at_once):
            parts = micro[start : start + at_once]
            passes = list(in_threads(self._pass, list(zip(self._policies, parts, strict=False)), at_once))
            for part, (loss, logprobs, entropies) in zip(parts, passes, strict=True):
                diagnostics.add(loss, logprobs, entropies, part.old_logprobs, part.batch)
        add_gradients(self._policies)
        limit = self.spec.grpo.max_grad_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.policy.model.parameters(), limit)
        if not torch.isfinite(norm):
            raise NumericalError(f"the gradient's norm is {norm.item()}")
        diagnostics.end_update(float(norm))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _pass(self, pair: tuple[Policy, MicroBatch]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Forward and backward over one micro-batch: its loss, log-probabilities and entropies."""
        (policy, part), grpo = pair, self.spec.grpo
        logprobs, entropies = _logprobs(self.spec, policy, part.batch.rows, with_entropy=True)
        reference_logprobs = None
        if grpo.kl and self.reference is not None:
            reference_logprobs = _reference_logprobs(self.spec, self.reference, part.batch.rows)
        loss = grpo_loss(
            logprobs,
            part.old_logprobs,
            part.batch.advantages,
            part.batch.weights,
            clip_low=grpo.clip_low,
            clip_high=grpo.clip_high,
            surrogate=grpo.surrogate,
            kl=grpo.kl,
            reference_logprobs=reference_logprobs,
            entropy_bonus=grpo.entropy_bonus,
            entropies=entropies,
        )
        loss.backward()
        return loss.detach(), logprobs.detach(), None if entropies is None else entropies.detach()

    def _learning_rate(self, step: int, m: int) -> float:
        each = self.spec.grpo.updates_per_rollout
        return learning_rate(self.spec.grpo, step * each + m, self.spec.steps * each)


def cut_rows(spec: RunSpec, policy: Policy, rows: Sequence[Row], at_once: int = 1) -> list[list[int]]:
    """The rows of each pass, so that those computed at once are within the token budget together."""
    with computing(spec, policy):
        share = shares_prompts(policy.model) and not spec.policy.gradient_checkpointing
    budget = spec.token_budget // at_once
    if at_once > 1:
        budget = min(budget, even_budget(rows, at_once, share_prompts=share))
    return micro_batches(rows, budget, share_prompts=share)


def _logprobs(spec: RunSpec, policy: Policy, rows: Sequence[Row], *, with_entropy: bool = False) -> TokenLogprobs:
    with computing(spec, policy):
        return completion_logprobs(
            policy.model,
            rows,
            pad_id=policy.pad_id,
            temperature=spec.sampling.temperature,
            with_entropy=with_entropy,
            recompute=spec.policy.gradient_checkpointing,
        )


@torch.no_grad()
def _logprobs_now(spec: RunSpec, policy: Policy, batch: Minibatch) -> Tensor:
    return _logprobs(spec, policy, batch.rows).logprobs


@torch.no_grad()
def _reference_logprobs(spec: RunSpec, reference: Policy, rows: Sequence[Row]) -> Tensor:
    with switched_off(reference.model):
        return _logprobs(spec, reference, rows).logprobs


def kl_to(reference: Policy, spec: RunSpec, groups: Sequence[Group]) -> float | None:
    """k3 estimate, in nats a token, of how far the policy that sampled is from `reference`; one completion a group."""
    firsts = [(group.prompt, group.completions[0]) for group in groups if group.completions[0].token_ids]
    rows = [Row(prompt.token_ids, completion.token_ids) for prompt, completion in firsts]
    parts = []
    for cut in cut_rows(spec, reference, rows):
        sampled = torch.tensor([x for i in cut for x in firsts[i][1].sampler_logprobs], device=reference.device)
        parts.append(k3(sampled, _reference_logprobs(spec, reference, [rows[i] for i in cut])))
    return float(torch.cat(parts).mean()) if parts else None


def save_optimizer(tensors: dict[str, Tensor], groups: Sequence[Mapping[str, Any]], directory: Path, step: int) -> None:
    """Write an optimizer's state (`state_tensors`, `state_groups`) after `step` steps into a checkpoint directory."""
    save_file(tensors, directory / "optimizer.safetensors")
    state = {"step": step, "param_groups": list(groups)}
    (directory / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def restore_optimizer(
    optimizer: Optimizer,
    checkpoint: Path,
    device: torch.device,
    cut: Callable[[Tensor, nn.Parameter], Tensor] = lambda value, _: value,
) -> None:
    """Bring back what `save_optimizer` wrote; `cut` as in `load_state`.

    Raises:
        StoreError: a file is missing or unreadable.
        CheckpointError: the state belongs to other parameters.
    """
    try:
        state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        tensors = load_file(checkpoint / "optimizer.safetensors", device=str(device))
    except (OSError, ValueError) as error:
        raise StoreError(f"{checkpoint}: the optimizer's state is unreadable: {error}") from error
    load_state(optimizer, tensors, state["param_groups"], cut)


def snapshot(model: nn.Module) -> list[Tensor]:
    """A copy of the weights that are trained, in main memory: a graphics card may have no room for a second one."""
    return [weights.detach().to("cpu", copy=True) for weights in model.parameters() if weights.requires_grad]


def moved(model: nn.Module, before: Sequence[Tensor]) -> float:
    """The 2-norm of what has been added to the trained weights since `before`, a `snapshot` of the same model."""
    trained = [weights.detach() for weights in model.parameters() if weights.requires_grad]
    pairs = zip(trained, before, strict=True)
    return sqrt(sum(float((new - old.to(new.device)).double().square().sum()) for new, old in pairs))


def computing(spec: RunSpec, policy: Policy) -> torch.autocast:
    """Set the precision of forward passes.

    Weights and moments stay float32: at a learning rate of 5e-7 an update would be lost in bfloat16's rounding.
    """
    return torch.autocast(policy.device.type, torch.bfloat16, enabled=spec.dtype == "bfloat16")
