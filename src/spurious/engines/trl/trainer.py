"""GRPOTrainer with our rollout batches: TRL computes loss and gradient, and never sees a reward.

Five methods of TRL 1.16 are replaced or listened to, all but one private; tests/engines/test_trl_hooks.py says
what is expected of each:

    _prepare_inputs                      gives the rows of the next pass; ours come from a rollout batch of our own
    _compute_loss                        TRL's, measured
    _get_per_token_logps_and_entropies   TRL's, whose result is kept for the measurement
    log                                  called once an update, with its gradient norm
    _send_telemetry                      left out
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from spurious.engines.trl.plan import Passes
from spurious.engines.trl.processes import Processes
from spurious.errors import NumericalError
from spurious.grpo.batch import Minibatch, minibatch, updates
from spurious.grpo.diagnostics import Diagnostics
from spurious.grpo.optimizer import learning_rate, make_optimizer, set_learning_rate
from spurious.keys import key
from spurious.specs import RunSpec
from spurious.types import Completion, Prompt, Scored

Rollout = Callable[[int], tuple[Sequence[Scored], Tensor]]
"""Step to the whole rollout batch and its (P, G) advantages, the same in every process."""

Learned = Callable[[int, Diagnostics], None]
"""Told of every step whose updates were taken."""


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass of this process."""

    inputs: dict[str, Any]
    """What TRL's loss reads: (B, T) tensors, prompts padded on the left, completions on the right."""
    places: tuple[int, ...]
    """(B,) which rows of the rollout batch these are."""
    update: Minibatch
    """All rows of the update that have signal, over all processes."""


class RunTrainer(GRPOTrainer):
    """The updates of one run, from `first` step on."""

    optimizer: Any
    lr_scheduler: Any

    def __init__(
        self,
        *,
        spec: RunSpec,
        model: Any,
        tokenizer: Any,
        arguments: dict[str, Any],
        processes: Processes,
        passes: Passes,
        first: int,
        rollout: Rollout,
        learned: Learned,
        restore: Callable[[torch.optim.Optimizer], None] | None,
        peft_config: Any = None,
    ) -> None:
        self.spec, self.processes, self.cut, self.first = spec, processes, passes, first
        self._rollout, self._learned, self._restore = rollout, learned, restore
        self._coming: list[Pass] = []
        self._diagnostics = Diagnostics(spec.grpo)
        self._seen: tuple[Tensor, Tensor] | None = None
        super().__init__(
            model=model,
            reward_funcs=_unpaid,
            args=GRPOConfig(**arguments),
            train_dataset=Dataset.from_dict({"prompt": [""] * spec.grpo.prompts_per_rollout}),
            processing_class=tokenizer,
            peft_config=peft_config,
        )
        self.remove_callback(PrinterCallback)  # standard output is for results

    def _send_telemetry(self) -> None:
        """TRL tells its makers of every trainer that is made; we do not."""

    def create_optimizer(self, model: Any = None) -> Any:
        """Ours, so that momentum, weight decay and epsilon are those of the specification."""
        if self.optimizer is None:
            self.optimizer = make_optimizer((self.model if model is None else model).parameters(), self.spec.grpo)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Our learning rate, counted over the whole run and not from where it was resumed.

        TRL asks for it when the weights lie where they stay, so this is also when the optimizer's state is restored.
        """
        grpo, steps = self.spec.grpo, self.spec.steps
        done, total = self.first * grpo.updates_per_rollout, steps * grpo.updates_per_rollout
        optimizer = self.optimizer if optimizer is None else optimizer
        if self._restore is not None:
            self._restore(optimizer)
        set_learning_rate(optimizer, grpo.lr)
        self.lr_scheduler = LambdaLR(optimizer, lambda update: learning_rate(grpo, done + update, total) / grpo.lr)
        return self.lr_scheduler

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        if not self._coming:
            step = self.first + self._step // self.args.steps_per_generation
            self.model.eval()  # so that sampling keeps its cache where gradient checkpointing is on
            scored, advantages = self._rollout(step)
            self._diagnostics = Diagnostics(self.spec.grpo)
            self._coming = self._passes(step, scored, advantages)
            self.model.train()
        coming = self._coming.pop(0)
        return {**coming.inputs, "pass": coming}

    def _passes(self, step: int, scored: Sequence[Scored], advantages: Tensor) -> list[Pass]:
        """Every pass of this process over a rollout batch; updates hold the rows they would hold in one process."""
        grpo = self.spec.grpo
        parts = updates(
            len(scored),
            grpo.group_size,
            grpo.updates_per_rollout,
            keep_groups_together=grpo.keep_groups_together,
            seed_key=key(self.spec.seed, "updates", step),
        )
        rows = [(one.group.prompt, completion) for one in scored for completion in one.group.completions]
        passes = []
        for part in parts:
            update = minibatch(
                scored,
                advantages,
                part,
                spec=grpo,
                max_tokens=self.spec.sampling.max_tokens,
                device=self.accelerator.device,
            )
            # TRL divides what `dapo` sums by this over the number of updates: say the tokens of this very update.
            tokens = sum(len(rows[i][1].token_ids) for i in part) * grpo.updates_per_rollout
            mine = self.processes.share(part)
            for start in range(0, len(mine), self.cut.rows):
                places = tuple(mine[start : start + self.cut.rows])
                inputs = self._inputs([rows[i] for i in places], advantages.flatten()[list(places)], tokens)
                passes.append(Pass(inputs, places, update))
        return passes

    @torch.no_grad()
    def _inputs(self, rows: Sequence[tuple[Prompt, Completion]], advantages: Tensor, tokens: int) -> dict[str, Any]:
        device, filler = self.accelerator.device, self.processing_class.pad_token_id
        prompts = [list(prompt.token_ids) for prompt, _ in rows]
        completions = [list(completion.token_ids) for _, completion in rows]
        inputs: dict[str, Any] = {
            "prompt_ids": _padded(prompts, filler, device, left=True),
            "prompt_mask": _padded([[1] * len(ids) for ids in prompts], 0, device, left=True),
            "completion_ids": _padded(completions, filler, device),
            "completion_mask": _padded([[1] * len(ids) for ids in completions], 0, device),
            "advantages": advantages.to(device, torch.float32),
            "num_items_in_batch": torch.tensor(float(tokens), device=device),
        }
        if self.spec.grpo.old_logprobs == "sampler":
            inputs["old_per_token_logps"] = _padded([list(c.sampler_logprobs) for _, c in rows], 0.0, device)
        else:
            inputs["old_per_token_logps"] = self._logps(self.model, inputs)
        if self.beta:
            inputs["ref_per_token_logps"] = self._reference_logps(inputs)
        return inputs

    def _reference_logps(self, inputs: dict[str, Any]) -> Tensor:
        if self.ref_model is not None:
            return self._logps(self.ref_model, inputs)
        with self.accelerator.unwrap_model(self.model).disable_adapter():
            return self._logps(self.model, inputs)

    def _logps(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        return self._get_per_token_logps_and_entropies(model, ids, mask, inputs["completion_ids"].size(1))[0]

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        result: tuple[Tensor, Tensor, Tensor | None] = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        self._seen = result[0], result[1]
        return result

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        loss: Tensor = super()._compute_loss(model, inputs)
        assert self._seen is not None
        self._measure(loss, *self._seen, inputs["old_per_token_logps"], inputs["pass"])
        self._seen = None
        return loss

    def _measure(self, loss: Tensor, logps: Tensor, entropies: Tensor, old: Tensor, coming: Pass) -> None:
        """Measure as our own engine does: on rows with signal, each token with its weight in the whole update."""
        where = {place: position for position, place in enumerate(coming.update.indices)}
        kept = [(i, where[place]) for i, place in enumerate(coming.places) if place in where]
        if not kept:
            return
        batch = coming.update.select([position for _, position in kept])
        flat = [
            torch.cat([values[i, :length] for (i, _), length in zip(kept, batch.lengths, strict=True)])
            for values in (logps, entropies, old)
        ]
        self._diagnostics.add(loss / self.processes.count, flat[0], flat[1], flat[2], batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """End an update; what TRL itself would report is in metrics.jsonl already."""
        self._metrics["train"].clear()
        if "grad_norm" not in logs:
            return
        norm = float(logs["grad_norm"])
        if not torch.isfinite(torch.tensor(norm)):
            raise NumericalError(f"the gradient's norm is {norm}")
        everyone = self.processes.parts(self._diagnostics.parts)
        if parts := [part for one in everyone for part in one]:
            self._diagnostics.parts = parts
            self._diagnostics.end_update(norm)
        if not self._coming:
            done = self.state.global_step // self.spec.grpo.updates_per_rollout
            self._learned(self.first + done - 1, self._diagnostics)


def _padded(rows: Sequence[Sequence[float]], filler: float, device: torch.device, *, left: bool = False) -> Tensor:
    width = max(map(len, rows))
    fill = [[filler] * (width - len(row)) for row in rows]
    return torch.tensor([[*f, *r] if left else [*r, *f] for r, f in zip(rows, fill, strict=True)], device=device)


def _unpaid(**_: Any) -> list[float]:
    """What TRL insists on and never calls: rewards are paid before it sees a completion."""
    raise AssertionError("TRL asked for a reward")
