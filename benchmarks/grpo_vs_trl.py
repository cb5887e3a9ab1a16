"""One rollout batch of GRPO, ours against TRL's GRPOTrainer: same weights, problems, completions, updates, optimizer.

    python benchmarks/grpo_vs_trl.py [MODEL] [--pairs 5] [--threads 2] [--batches 3] [--settings fixed text late]

MODEL is the directory of an organism; by default good-code, which is built first. Needs the extra `trl`. Settings, all
of 32 prompts with 16 completions and 8 updates:

    fixed   every completion has exactly 32 tokens, random reward
    text    the organism's own text, which stops by itself, random reward
    late    ground truth after 20 steps of it, when most groups have no signal

Each timing is a short training of its own, its first batch left out. The floor is the matrix products alone at the rate
that this machine reaches for the largest of these shapes: twice the weights a sampled token (prompts read once a
group), six times the weights a token that is trained and has signal (prompts once a completion, as both do it).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from side_by_side import ratio, show

from spurious.grpo.arm import Arm, Inputs, prepare
from spurious.grpo.learner import Learner
from spurious.grpo.trainer import assign_credit, score, train
from spurious.organisms import build
from spurious.policy import TorchSampler, load, prepare_process
from spurious.policy.ask import asker
from spurious.policy.model import Policy
from spurious.specs import RunSpec
from spurious.verify import verify_many

SHAPE = {"prompts_per_rollout": 32, "group_size": 16, "updates_per_rollout": 8, "lr": 1e-6}
TOKENS = {"fixed": 32, "text": 64, "late": 64}
REWARDS = {"fixed": "random", "text": "random", "late": "ground_truth"}


@dataclass
class Measured:
    """Seconds of each batch after the first, and how much of it was work."""

    seconds: list[float]
    sampled: int = 0
    trained: int = 0


def spec_of(setting: str, model: Path) -> RunSpec:
    """What both train."""
    return RunSpec.model_validate(
        {
            "model": str(model),
            "task": "chain",
            "reward": REWARDS[setting],
            "grpo": SHAPE,
            "sampling": {"max_tokens": TOKENS[setting]},
            "steps": 1000,
        }
    )


def policy_of(setting: str, spec: RunSpec) -> Policy:
    """Fresh weights; where lengths are fixed, the end of a text is a token that is never drawn."""
    policy = load(spec.model, device="cpu")
    if setting == "fixed":
        policy.tokenizer.eos_token = policy.tokenizer.pad_token
        policy.model.generation_config.eos_token_id = policy.pad_id
    return policy


def ours(setting: str, arm: Arm, batches: int) -> Measured:
    """The loop of `spurious.grpo.trainer`, without its writing: TRL is not asked to write either."""
    spec = arm.spec
    policy = policy_of(setting, spec)
    ask, sampler, learner = asker(spec.task, arm.task, policy), TorchSampler(policy), Learner(spec, policy, None)
    found = Measured([])
    for step in range(batches + 1):
        started = time.perf_counter()
        groups = sampler.sample(
            ask.prompts(arm.problems(step)), spec.grpo.group_size, ask.sampling(spec.sampling), (spec.seed, step)
        )
        scored = score(arm, step, groups)
        learner.learn(step, scored, assign_credit(spec, scored))
        if step:
            found.seconds.append(time.perf_counter() - started)
            found.sampled += sum(len(c.token_ids) for group in groups for c in group.completions)
            found.trained += sum(
                len(one.group.prompt.token_ids) + len(c.token_ids)
                for one in scored
                if len(set(one.rewards)) > 1
                for c in one.group.completions
            )
    return found


def theirs(setting: str, arm: Arm, batches: int, folder: Path) -> Measured:
    """TRL's trainer with the estimator of ours; it samples with `generate` and recomputes nothing it need not."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    spec = arm.spec
    policy = policy_of(setting, spec)
    grpo = spec.grpo
    problems = [problem for step in range(batches + 1) for problem in arm.problems(step)]
    prompts = asker(spec.task, arm.task, policy).prompts(problems)
    answers = [arm.labels[problem.id] for problem in problems]
    found = Measured([])

    def reward(completions: Sequence[str], answer: Sequence[str], **_: Any) -> list[float]:
        if REWARDS[setting] == "random":
            return torch.randint(0, 2, (len(completions),)).double().tolist()
        grades = verify_many(list(zip(completions, answer, strict=True)), extraction="strict")
        return [float(grade.correct) for grade in grades]

    class Watch(TrainerCallback):
        """Notes the time whenever a rollout batch has been used up."""

        def __init__(self) -> None:
            self.laps: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % grpo.updates_per_rollout == 0:
                self.laps.append(time.perf_counter())

    watch = Watch()
    size = grpo.prompts_per_rollout * grpo.group_size
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=size // grpo.updates_per_rollout,
        gradient_accumulation_steps=1,
        steps_per_generation=grpo.updates_per_rollout,
        num_generations=grpo.group_size,
        num_iterations=1,
        max_steps=(batches + 1) * grpo.updates_per_rollout,
        max_completion_length=spec.sampling.max_tokens,
        temperature=1.0,
        loss_type="grpo",
        epsilon=0.2,
        epsilon_high=0.2,
        scale_rewards="group",
        beta=0.0,
        learning_rate=grpo.lr,
        lr_scheduler_type="constant",
        disable_dropout=True,
        bf16=False,
        use_cpu=True,
        shuffle_dataset=False,
        seed=spec.seed,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        gradient_checkpointing=False,
    )
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": [prompt.text for prompt in prompts], "answer": answers}),
        processing_class=policy.tokenizer,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    found.seconds = [later - earlier for earlier, later in zip(watch.laps, watch.laps[1:], strict=False)]
    return found


def peak() -> float:
    """Multiplications and additions a second of the models' largest product, on this process's threads."""
    rows, weights = torch.randn(3000, 96), torch.randn(96, 512)
    best = min(_timed(lambda: rows @ weights) for _ in range(50))
    return 2 * rows.numel() * weights.shape[1] / best


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def floor(arm: Arm, policy: Policy, found: Measured) -> float:
    """Seconds of a batch's matrix products at the peak."""
    weights = sum(p.numel() for p in policy.model.parameters())  # the embedding is tied: it is the output's product
    prompts = asker(arm.spec.task, arm.task, policy).prompts(arm.problems(0))
    read = sum(len(prompt.token_ids) for prompt in prompts) * len(found.seconds)
    return weights * (2 * (found.sampled + read) + 6 * found.trained) / peak() / len(found.seconds)


def measured(setting: str, model: Path, pairs: int, batches: int, folder: Path) -> dict[str, Any]:
    """One line of the table."""
    spec = spec_of(setting, late(model, folder) if setting == "late" else model)
    arm = prepare(spec, Inputs(None), {})
    mine, other, last = [], [], None
    for pair in range(pairs):
        for way in (0, 1) if pair % 2 == 0 else (1, 0):
            if way == 0:
                last = ours(setting, arm, batches)
                mine.append(median(last.seconds))
            else:
                other.append(median(theirs(setting, arm, batches, folder).seconds))
    assert last is not None
    least = floor(arm, policy_of(setting, spec), last)
    return {
        "setting": setting,
        "ours, s": median(mine),
        "TRL, s": median(other),
        "times as fast": ratio(mine, other),
        "floor, s": least,
        "ours / floor": median(mine) / least,
        "TRL / floor": median(other) / least,
    }


def late(model: Path, folder: Path) -> Path:
    """The weights after 20 steps of ground truth, as the studies take them."""
    spec = spec_of("late", model)
    trained = spec.model_copy(
        update={
            "steps": 20,
            "grpo": spec.grpo.model_copy(update={"prompts_per_rollout": 8, "updates_per_rollout": 4, "lr": 1e-4}),
        }
    )
    directory = train(trained, folder / "late")
    return max((directory / "checkpoints").iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/organisms/good-code"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=3, help="rollout batches timed in each training")
    parser.add_argument("--settings", nargs="+", choices=tuple(TOKENS), default=tuple(TOKENS))
    arguments = parser.parse_args()
    try:
        import trl
    except ImportError:
        print("grpo_vs_trl: trl is not installed (pip install '.[trl]'), nothing is measured")
        return
    prepare_process(arguments.threads)
    if not arguments.model.is_dir():
        build("good-code", arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measured(setting, arguments.model, arguments.pairs, arguments.batches, Path(folder))
            for setting in arguments.settings
        ]
    show(f"grpo_vs_trl, trl {trl.__version__}, {arguments.threads} threads, {arguments.pairs} pairs", rows)


if __name__ == "__main__":
    main()
