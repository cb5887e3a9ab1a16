"""One rollout batch of GRPO, ours against TRL's GRPOTrainer: same weights, problems, completions, updates, optimizer.

    python benchmarks/grpo_vs_trl.py [MODEL] [--pairs 5] [--threads 2] [--batches 3] [--write]

MODEL is the directory of an organism; by default good-code, which is built first. Needs the extra `trl`. Settings, all
of 32 prompts with 16 completions and 8 updates:

    fixed   every completion has exactly 32 tokens, random reward
    text    the organism's own text, which stops by itself, random reward
    late    ground truth after 20 steps of it, when most groups have no signal

Each timing is a short training of its own, its first batch left out. Ours and TRL have a process each, which are given
work in turns: TRL's is told the number of threads and else as it comes. The floor is the matrix products alone, each
shape at the rate that this machine reaches for it (`floor.py`): every sampled token once (prompts, and what completions
of a group begin with in common, once a group), and every token of a completion that has signal three times (its prompt
too, which both compute once a completion).
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from floor import products
from loop import Loop
from record import Row, Table, command_line, publish
from side_by_side import ratio

from spurious.grpo.arm import Arm, Inputs, prepare
from spurious.grpo.trainer import train
from spurious.organisms import build
from spurious.policy import load, prepare_process
from spurious.policy.ask import asker
from spurious.policy.model import Policy
from spurious.specs import RunSpec
from spurious.stopwatch import Stopwatch
from spurious.verify import verify_many

SHAPE = {"prompts_per_rollout": 32, "group_size": 16, "updates_per_rollout": 8, "lr": 1e-6}
TOKENS = {"fixed": 32, "text": 64, "late": 64}
REWARDS = {"fixed": "random", "text": "random", "late": "ground_truth"}
GOALS = {"fixed": 1.4, "text": 1.8, "late": 3.0}
PHASES = ("sample", "verify", "learn", "store")
ROWS = SHAPE["prompts_per_rollout"] * SHAPE["group_size"]
LONGEST = 46
"""Tokens of a row, about: 14 of the prompt and 32 of the completion."""


Ways = tuple[tuple[Callable[..., "Measured"], Executor], ...]


@dataclass
class Measured:
    """Seconds of each batch after the first, and how much of it was work."""

    seconds: list[float]
    phases: list[dict[str, float]] = field(default_factory=list)
    """Seconds of ours by phase; the store is no part of the comparison."""
    read: int = 0
    sampled: int = 0
    trained: int = 0
    """Tokens of all these batches, as `Loop` counts them."""


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


@lru_cache(maxsize=1)
def arm_of(spec: str) -> Arm:
    """The arm of a specification in JSON."""
    return prepare(RunSpec.model_validate_json(spec), Inputs(None), {})


def ours(setting: str, spec: RunSpec, batches: int, folder: Path) -> Measured:
    """The loop of `spurious.grpo.trainer`; its writing is timed apart, as TRL is not asked to write."""
    loop = Loop(arm_of(spec.model_dump_json()), policy_of(setting, spec), folder)
    found, watch = Measured([]), Stopwatch()
    for step in range(batches + 1):
        for name, work in loop.phases(step).items():
            with watch(name):
                work()
        phases = watch.lap()
        if step:
            found.phases.append(phases)
            found.seconds.append(sum(phases.values()) - phases["seconds/store"])
            found.read += loop.read
            found.sampled += loop.sampled
            found.trained += loop.trained
    return found


def theirs(setting: str, spec: RunSpec, batches: int, folder: Path) -> Measured:
    """TRL's trainer with the estimator of ours; it samples with `generate` and recomputes nothing it need not."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    arm, policy, grpo = arm_of(spec.model_dump_json()), policy_of(setting, spec), spec.grpo
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


def measured(setting: str, model: Path, ways: Ways, pairs: int, batches: int, folder: Path) -> tuple[Row, ...]:
    """One line of each table, and the rates that the floor is made of."""
    spec = spec_of(setting, late(model, folder) if setting == "late" else model)
    found: tuple[list[Measured], list[Measured]] = ([], [])
    for pair in range(pairs):
        for i in (0, 1) if pair % 2 == 0 else (1, 0):
            work, process = ways[i]
            found[i].append(process.submit(work, setting, spec, batches, folder).result())
    mine, other = ([median(one.seconds) for one in each] for each in found)
    last = found[0][-1]
    each = products(policy_of(setting, spec).model, ROWS, ROWS // SHAPE["updates_per_rollout"] * LONGEST)
    least = ((last.read + last.sampled) * each.read + last.trained * each.trained) / batches
    row = {
        "setting": setting,
        "ours, s": median(mine),
        "TRL, s": median(other),
        "times as fast": ratio(mine, other),
        "goal": GOALS[setting],
        "floor, s": least,
        "ours / floor": median(mine) / least,
        "TRL / floor": median(other) / least,
    }
    laps = [lap for one in found[0] for lap in one.phases]
    phases = {f"{name}, s": median(lap[f"seconds/{name}"] for lap in laps) for name in PHASES}
    return row, {"setting": setting, **phases}, *each.rates


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
    parser = command_line(__doc__, pairs=5, threads=2, batches=3)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/organisms/good-code"))
    parser.add_argument("--settings", nargs="+", choices=tuple(TOKENS), default=tuple(TOKENS))
    arguments = parser.parse_args()
    if find_spec("trl") is None:
        print("grpo_vs_trl: trl is not installed (pip install '.[trl]'), nothing is measured")
        return
    prepare_process(arguments.threads)
    if not arguments.model.is_dir():
        build("good-code", arguments.model)
    spawned = get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, spawned, prepare_process, (arguments.threads,)) as here,
        ProcessPoolExecutor(1, spawned, torch.set_num_threads, (arguments.threads,)) as there,
    ):
        ways = ((ours, here), (theirs, there))
        found = [
            measured(setting, arguments.model, ways, arguments.pairs, arguments.batches, Path(folder))
            for setting in arguments.settings
        ]
    rows, phases, *rates = zip(*found, strict=True)
    tables = [
        Table("A rollout batch of 32 x 16 completions and its 8 updates", rows),
        Table("Where ours goes", phases),
        Table("Rates of the matrix products", [shape[0] for shape in rates]),
    ]
    publish("grpo_vs_trl", tables, arguments)


if __name__ == "__main__":
    main()
