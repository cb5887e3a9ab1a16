"""Train one run on TRL: the loop of `spurious.grpo.trainer`, with TRL's trainer in the place of our learner.

Every process samples, scores and grades its share of the prompts, always whole groups; then all of them hold the whole
rollout batch, and each trains on its part of every update. The first process alone writes.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from spurious.engines.trl import sharded
from spurious.engines.trl.plan import Passes, arguments, check, check_entropy, operators, passes
from spurious.engines.trl.processes import Processes, SharedSampler
from spurious.engines.trl.trainer import RunTrainer
from spurious.engines.trl.vllm import VllmSampler
from spurious.evaluate import Bench, evaluate, open_bench
from spurious.grpo.arm import Arm, Inputs, prepare
from spurious.grpo.diagnostics import Diagnostics, rollout_metrics
from spurious.grpo.learner import computing, kl_to, moved, restore_optimizer, save_optimizer, snapshot
from spurious.grpo.optimizer import state_groups, state_tensors
from spurious.grpo.rollouts import Batch, kept_where_broken, rollout_frame
from spurious.grpo.trainer import assign_credit, note, saves_every, score, shared_tables
from spurious.policy import TorchSampler, prepare_process
from spurious.policy.ask import Asker, asker, longest_prompt
from spurious.policy.lora import base_of, lora_config, restore_adapter
from spurious.policy.model import Policy, frozen_copy, load, save
from spurious.progress import Progress, quiet
from spurious.specs import RunSpec
from spurious.stopwatch import Stopwatch
from spurious.store import Run
from spurious.store.shared import Shared
from spurious.types import Scored


def train(
    spec: RunSpec,
    directory: Path | None = None,
    *,
    store: Path = Path("runs"),
    data_dir: Path | None = None,
    progress: Progress = quiet,
    opened: Callable[[Run], None] | None = None,
) -> Path:
    """Run one specification to its end on TRL; the arguments, the result and resuming are those of our own engine's.

    Started by `torchrun`, the processes train one run together.

    Raises:
        InputError: the specification, the model, the data, the reward or the directory is at fault, or TRL cannot do
            what the specification says; the message names the field.
        NumericalError: a NaN or an infinity arose.
    """
    processes = Processes.of_environment()
    check(spec, processes.count)
    in_shards = sharded.asked()
    arm = prepare(spec, Inputs(data_dir), prepare_process())
    joined = PartialState(cpu=not torch.cuda.is_available())  # joins the other processes, and says which device is ours
    if in_shards:
        sharded.check(spec, joined)
    initial = load(spec.model, revision=spec.revision)
    ask = asker(spec.task, arm.task, initial)
    cut = passes(spec, processes.count, longest_prompt(ask, arm.kept))
    check_entropy(spec, cut, processes.count)
    facts = _facts(arm, operators(spec, processes.count, cut, in_shards=in_shards))
    with ExitStack() as stack:
        run = None
        if processes.main:
            identity = replace(arm.identity, facts=facts)
            run = stack.enter_context(Run(directory or store / arm.directory_name, identity))
            if not run.done:  # the manifest keeps what the first attempt was
                run.say(f"processes: {processes.count}, {cut.rows} completions a pass")
            if opened is not None and not run.done:
                opened(run)
        found = processes.from_main((run.directory, run.done, run.start_step, run.checkpoint) if run else None)
        path, done, start, checkpoint = found
        if not done:
            # Several processes must all draw or none of them: only one that is alone may find a table made.
            shared = shared_tables(run, store, arm) if run is not None and processes.count == 1 else Shared(None)
            loop = _Loop(arm, initial, ask, processes, run, shared, progress, in_shards=in_shards)
            loop.go(cut, path, start, checkpoint)
    return Path(path)


class _Loop:
    """What happens around TRL's updates."""

    def __init__(
        self,
        arm: Arm,
        initial: Policy,
        ask: Asker,
        processes: Processes,
        run: Run | None,
        shared: Shared,
        progress: Progress,
        *,
        in_shards: bool,
    ) -> None:
        self.arm, self.spec, self.ask, self.processes, self.run = arm, arm.spec, ask, processes, run
        self.shared, self.in_shards = shared, in_shards
        self.progress = progress if processes.main else quiet
        self.policy = initial
        self.benches: list[Bench] = [open_bench(bench, task, initial) for bench, task in arm.benches]
        self.keeps_start = arm.spec.measure_kl and processes.main
        copied = self.keeps_start and arm.spec.policy.lora is None
        self.start = frozen_copy(initial) if copied else None
        self.watch = Stopwatch()
        self.batch = Batch()
        self.before: list[Tensor] = []
        self.sampled = 0.0
        """When the rollout batch was complete."""

    def go(self, cut: Passes, path: Path, start: int, checkpoint: Path | None) -> None:
        """Take the steps that are owed, and the evaluations around them."""
        spec = self.spec
        lora = None
        if spec.policy.lora is not None:
            lora = lora_config(spec.policy.lora, base_of(self.policy.model, spec.model, spec.revision))
        if checkpoint is not None and lora is None:
            self.policy.model.load_state_dict(load(str(checkpoint)).model.state_dict())
        owed = (spec.steps - start) * spec.grpo.updates_per_rollout
        trained = self.policy.model
        if self.in_shards:
            self.policy = sharded.whole_copy(self.policy)
        told = arguments(spec, cut, max(owed, 1), cuda=torch.cuda.is_available())
        os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if spec.dtype == "bfloat16" else "no"  # not the launcher's
        self.trainer = RunTrainer(
            spec=spec,
            model=trained,
            tokenizer=self.policy.tokenizer,
            arguments={**told, "output_dir": str(path)},
            processes=self.processes,
            passes=cut,
            first=start,
            rollout=self.rollout,
            learned=self.learned,
            restore=None if checkpoint is None else partial(self._restore, checkpoint=checkpoint),
            peft_config=lora,
        )
        if self.in_shards:
            sharded.keep_precision(self.trainer.accelerator)
        adapted = self.trainer.model
        if lora is not None:
            self.policy = replace(self.policy, model=adapted.get_base_model())
            if checkpoint is not None:
                restore_adapter(self.policy.model, checkpoint)
            self.start = self.policy if self.keeps_start else None
        own = SharedSampler(TorchSampler(self.policy, max_rows=spec.sampling_rows), self.processes)
        vllm = spec.trl.sampler == "vllm"
        self.evaluates = own
        self.samples = SharedSampler(VllmSampler(self.trainer, self.policy), self.processes) if vllm else own
        if owed:
            with kept_where_broken(self.run, self.batch):
                self.trainer.train()
        self.policy.model.eval()
        self._evaluate(spec.steps)
        if self.run is not None:
            self.run.finish()

    def rollout(self, step: int) -> tuple[Sequence[Scored], Tensor]:
        """Evaluate if it is time; then ask, score and credit."""
        spec, grpo, batch = self.spec, self.spec.grpo, self.batch.begin(step)
        if step == 0 or (spec.eval_every and step % spec.eval_every == 0):
            self._evaluate(step)
        with self.watch("sample"), computing(spec, self.policy):
            batch.prompts = self.ask.prompts(self.arm.problems(step))
            batch.groups = self.samples.sample(
                batch.prompts,
                grpo.group_size,
                self.ask.sampling(spec.sampling),
                (spec.seed, "sample", step),
                confidence=self.arm.needs_confidence,
            )
        with self.watch("score"):
            batch.scored = self.processes.gathered(score(self.arm, step, self.processes.share(batch.groups)))
        batch.advantages = assign_credit(spec, batch.scored)
        self.before = snapshot(self.policy.model) if self.run is not None else []
        self.sampled = perf_counter()
        return batch.scored, batch.advantages

    def learned(self, step: int, diagnostics: Diagnostics) -> None:
        """Record a step whose updates were taken."""
        scored, advantages = self.batch.scored, self.batch.advantages
        if self.in_shards:
            sharded.refresh(self.policy.model, self.trainer.model)
        save = self._saver(step + 1)  # of every process, as the moments may lie in shards
        if self.run is None or advantages is None:
            return
        measured: dict[str, Any] = {**diagnostics.finish(), "update/norm": moved(self.policy.model, self.before)}
        groups = [one.group for one in scored]
        measured["kl/to_start"] = None if self.start is None else kl_to(self.start, self.spec, groups)
        self.watch.add("learn", perf_counter() - self.sampled)
        self.run.write_metrics({"step": step, **rollout_metrics(scored, advantages), **measured, **self.watch.lap()})
        with self.watch("record"):  # shown with the step after
            self.run.write_rollouts(step, rollout_frame(step, scored, advantages))
            if save is not None:
                self.run.write_checkpoint(step + 1, save)
        self.run.say(f"step {step}: {note(scored)}")
        self.progress("train", step + 1, self.spec.steps, note(scored))

    def _evaluate(self, step: int) -> None:
        """Evaluate every benchmark that an earlier attempt has not; every process draws, the first one writes."""
        for bench in self.benches:
            slug = bench.spec.slug
            if self.processes.from_main(self.run.has_eval(step, slug) if self.run else None):
                continue
            make = partial(evaluate, self.evaluates, bench, self.spec.seed, step=step, progress=self.progress)
            with computing(self.spec, self.policy):
                rows = self.shared.table(self.arm.untrained(bench.spec), make) if step == 0 else make()
            if self.run is not None:
                self.run.write_eval(step, slug, rows)

    def _saver(self, step: int) -> Callable[[Path], None] | None:
        """What writes the checkpoint after `step` steps, if one is due."""
        if step % saves_every(self.spec, self.policy) and step != self.spec.steps:
            return None
        optimizer = self.trainer.optimizer
        if self.run is None:
            sharded.take_part(optimizer)
            return None
        tensors, groups = state_tensors(optimizer, sharded.whole), state_groups(optimizer)

        def write(directory: Path) -> None:
            save(self.policy, directory)
            save_optimizer(tensors, groups, directory, step)

        return write

    def _restore(self, optimizer: torch.optim.Optimizer, *, checkpoint: Path) -> None:
        # In shards, whole moments of every parameter at once would fill the device.
        where = torch.device("cpu") if self.in_shards else self.policy.device
        restore_optimizer(optimizer, checkpoint, where, sharded.cut)


def _facts(arm: Arm, operated: list[str]) -> dict[str, Any]:
    """What the manifest records besides the run's identity."""
    environment = arm.identity.facts["environment"]
    versions = {**environment["versions"], **{name: _version(name) for name in ("trl", "accelerate", "peft")}}
    return {**arm.identity.facts, "operators": operated, "environment": {**environment, "versions": versions}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
