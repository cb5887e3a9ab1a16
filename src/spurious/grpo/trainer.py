"""Train one run. The loop is the algorithm:

    ask     P problems, G completions of each, sampled by the policy itself
    score   what training pays, and beside it, in every arm, what is true
    credit  rewards made relative to their group: advantages
    learn   M optimizer updates over the rollout batch
    record  the metrics line, then rollouts, then the checkpoint

Everything drawn is keyed by (seed, purpose, step, ...), so a killed run goes on to the bytes it would have had, and two
arms with one seed see the same problems and the same noise.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from spurious.evaluate import Bench, evaluate, grade_groups, open_bench
from spurious.grpo.advantage import credit
from spurious.grpo.arm import Arm, Inputs, prepare
from spurious.grpo.diagnostics import rollout_metrics
from spurious.grpo.learner import Learner, computing
from spurious.grpo.optimizer import eight_bit
from spurious.grpo.rollouts import Batch, kept_where_broken, rollout_frame
from spurious.grpo.room import SMALL, plan, within
from spurious.keys import Draw
from spurious.policy import TorchSampler, prepare_process
from spurious.policy.ask import asker
from spurious.policy.lora import attach, base_of, halve_frozen, restore_adapter
from spurious.policy.model import Policy, frozen_copy, load
from spurious.policy.recompute import recomputed_layers
from spurious.progress import Progress, quiet
from spurious.signals import pay
from spurious.specs import RunSpec
from spurious.stopwatch import Stopwatch
from spurious.store import Run
from spurious.store.shared import Shared
from spurious.types import Group, Scored


def train(
    spec: RunSpec,
    directory: Path | None = None,
    *,
    store: Path = Path("runs"),
    data_dir: Path | None = None,
    progress: Progress = quiet,
    opened: Callable[[Run], None] | None = None,
) -> Path:
    """Run one specification to its end; started again, it goes on where it stopped.

    Args:
        spec: what to run.
        directory: the run directory; by default one below `store` that is named after what the run is.
        store: where runs are kept.
        data_dir: local copies of data sets, instead of the hub.
        progress: told of every step.
        opened: given the run when its directory is ours and before anything is done; it may refuse by raising.

    Returns:
        The run directory.

    Raises:
        InputError: the specification, the model, the data, the reward or the directory is at fault; the message says.
        NumericalError: a NaN or an infinity arose.
    """
    arm = prepare(spec, Inputs(data_dir), prepare_process())
    planned = plan(arm)
    initial = starting_policy(spec)
    ask = asker(spec.task, arm.task, initial)
    benches = [open_bench(bench, task, initial) for bench, task in arm.benches]
    with Run(directory or store / arm.directory_name, arm.identity.with_facts(memory=planned)) as run:
        if run.done:
            return run.directory
        spec = within(spec, planned, run.manifest.get("memory"))
        if opened is not None:
            opened(run)
        learner = _start(spec, initial, run.checkpoint)
        sampler = TorchSampler(learner.policy, max_rows=spec.sampling_rows)
        save_every = saves_every(spec, learner.policy)
        shared = shared_tables(run, store, arm)
        watch, batch = Stopwatch(), Batch()

        for step in range(run.start_step, spec.steps + 1):
            last = step == spec.steps
            if step == 0 or last or (spec.eval_every and step % spec.eval_every == 0):
                with computing(spec, learner.policy):
                    _evaluate(run, step, arm, sampler, benches, shared, progress)
            if last:
                break

            with kept_where_broken(run, batch.begin(step)):
                with watch("sample"), computing(spec, learner.policy):
                    batch.prompts = ask.prompts(arm.problems(step))
                    batch.groups = sampler.sample(
                        batch.prompts,
                        spec.grpo.group_size,
                        ask.sampling(spec.sampling),
                        (spec.seed, "sample", step),
                        confidence=arm.needs_confidence,
                    )
                with watch("score"):
                    batch.scored = score(arm, step, batch.groups)
                with watch("learn"):
                    batch.advantages = assign_credit(spec, batch.scored)
                    diagnostics = learner.learn(step, batch.scored, batch.advantages)
                    diagnostics["kl/to_start"] = learner.kl_to_start(batch.groups)
            scored, advantages = batch.scored, batch.advantages
            run.write_metrics({"step": step, **rollout_metrics(scored, advantages), **diagnostics, **watch.lap()})
            with watch("record"):  # shown with the step after
                run.write_rollouts(step, rollout_frame(step, scored, advantages))
                if (step + 1) % save_every == 0 or step + 1 == spec.steps:
                    run.write_checkpoint(step + 1, partial(learner.save, step=step + 1))
            run.say(f"step {step}: {note(scored)}")
            progress("train", step + 1, spec.steps, note(scored))
        run.finish()
    return run.directory


def score(arm: Arm, step: int, groups: Sequence[Group]) -> list[Scored]:
    """Grade every completion against the truth, and pay it by the arm's reward against the arm's label."""
    lenient, strict = grade_groups(arm.task, groups)
    scored = []
    for group, grades, strict_grades in zip(groups, lenient, strict, strict=True):
        problem = group.prompt.problem
        label = arm.labels[problem.id]
        draw = Draw(arm.spec.seed, step, problem.id, group.prompt.copy)
        rewards = pay(arm.reward, group, label, draw, arm.spec.extraction)
        scored.append(Scored(group, label, rewards, grades, strict_grades))
    return scored


def assign_credit(spec: RunSpec, scored: Sequence[Scored]) -> Tensor:
    """(P, G) float64 advantages of the rollout batch."""
    return credit(
        torch.tensor([one.rewards for one in scored], dtype=torch.float64),
        torch.tensor([[len(c.token_ids) for c in one.group.completions] for one in scored]),
        kind=spec.grpo.advantage,
        whitened=spec.grpo.whiten,
        positive_weight=spec.grpo.positive_weight,
        negative_weight=spec.grpo.negative_weight,
    )


def shared_tables(run: Run, store: Path, arm: Arm) -> Shared:
    """Where a store keeps what all its runs share; nowhere for a run that lies elsewhere or whose code is unknown."""
    in_store = run.directory.resolve().parent == store.resolve()
    return Shared(store / "shared" if in_store and arm.repeatable else None)


def saves_every(spec: RunSpec, policy: Policy) -> int:
    """Steps between checkpoints."""
    return spec.save_every or (1 if policy.model.num_parameters(only_trainable=True) < SMALL else 20)


def starting_policy(spec: RunSpec) -> Policy:
    """The model that the run starts from, with the adapter that is trained if there is to be one.

    Raises:
        InputError: the model is at fault, or is none that can be trained as the specification says.
    """
    if spec.grpo.optimizer == "adamw_8bit":
        eight_bit()
    policy = load(spec.model, revision=spec.revision)
    if spec.policy.gradient_checkpointing:
        recomputed_layers(policy.model)
    if spec.policy.lora is not None:
        attach(policy.model, spec.policy.lora, base_of(policy.model, spec.model, spec.revision), spec.seed)
        if spec.dtype == "bfloat16":
            halve_frozen(policy.model)
    return policy


def _start(spec: RunSpec, initial: Policy, checkpoint: Path | None) -> Learner:
    """A learner at the run's first step, or where its last checkpoint was written."""
    keeps_start = spec.measure_kl or spec.grpo.kl > 0
    if spec.policy.lora is not None:
        if checkpoint is not None:
            restore_adapter(initial.model, checkpoint)
        return Learner(spec, initial, initial if keeps_start else None, checkpoint)
    if checkpoint is None:
        return Learner(spec, initial, frozen_copy(initial) if keeps_start else None)
    return Learner(spec, load(str(checkpoint)), initial if keeps_start else None, checkpoint)


def _evaluate(
    run: Run,
    step: int,
    arm: Arm,
    sampler: TorchSampler,
    benches: Sequence[Bench],
    shared: Shared,
    progress: Progress,
) -> None:
    """Evaluate every benchmark that an earlier attempt has not evaluated at this step.

    What the untrained model answers is the same in every arm: the runs of a store evaluate it once.
    """
    for bench in benches:
        if not run.has_eval(step, bench.spec.slug):
            make = partial(evaluate, sampler, bench, arm.spec.seed, step=step, progress=progress)
            rows = shared.table(arm.untrained(bench.spec), make) if step == 0 else make()
            run.write_eval(step, bench.spec.slug, rows)


def note(scored: Sequence[Scored]) -> str:
    """A rollout batch in a few words."""
    reward = fmean(value for one in scored for value in one.rewards)
    accuracy = fmean(grade.correct for one in scored for grade in one.grades)
    return f"reward {reward:.3f}  accuracy {accuracy:.3f}"
