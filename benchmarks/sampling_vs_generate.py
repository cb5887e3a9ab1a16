"""Our sampler against transformers' `generate`, and its continuous batching, on an organism's own text.

    python benchmarks/sampling_vs_generate.py [MODEL] [--pairs 7] [--threads 1] [--continuous] [--write]

MODEL is the directory of an organism; by default good-code, which is built first. Every setting draws the same number
of completions from the same prompts, at temperature 1. Ours returns log-probabilities too; `generate` is not
asked for any. `--continuous` adds `generate_batch` on a sixteenth of the rows: it is far slower on a CPU.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import Table, command_line, publish
from side_by_side import in_turns, ratio

from spurious.organisms import build
from spurious.policy import TorchSampler, load, prepare_process
from spurious.policy.ask import asker
from spurious.policy.model import Policy
from spurious.specs import SamplingSpec, TaskSpec
from spurious.tasks import load_task
from spurious.types import Prompt


@dataclass(frozen=True)
class Setting:
    """What is sampled."""

    name: str
    prompts: list[Prompt]
    n: int
    sampling: SamplingSpec
    goal: float
    """How many times as fast it is to be at least."""


def asked(policy: Policy, size: int, **chain: Any) -> list[Prompt]:
    """Prompts of `chain` problems."""
    spec = TaskSpec.model_validate({"name": "chain", "args": {"size": size, "split": "test", **chain}})
    task = load_task(spec)
    return asker(spec, task, policy).prompts(task.problems)


def settings(policy: Policy) -> list[Setting]:
    """Text as it comes; a tenth of the rows about four times as long as the rest; long prompts with short answers."""
    like = asked(policy, 32)
    mixed = asked(policy, 29, steps=1) + asked(policy, 3, steps=8)
    long = [Prompt(prompt.problem, prompt.text, (prompt.token_ids * 200)[:200], prompt.copy) for prompt in like]
    return [
        Setting("32 x 16, organism text", like, 16, SamplingSpec(max_tokens=64), 1.3),
        Setting("32 x 16, a tenth long", mixed, 16, SamplingSpec(max_tokens=128), 3.0),
        Setting("32 x 16, prompts of 200", long, 16, SamplingSpec(max_tokens=8), 3.0),
    ]


def ours(policy: Policy, setting: Setting) -> Callable[[], int]:
    sampler = TorchSampler(policy)

    def sample() -> int:
        groups = sampler.sample(setting.prompts, setting.n, setting.sampling, ("benchmark",))
        return sum(len(completion.token_ids) for group in groups for completion in group.completions)

    return sample


def theirs(policy: Policy, setting: Setting) -> Callable[[], int]:
    import torch

    width = max(len(prompt.token_ids) for prompt in setting.prompts)
    ids = torch.tensor([[policy.pad_id] * (width - len(p.token_ids)) + list(p.token_ids) for p in setting.prompts])
    mask = torch.tensor([[0] * (width - len(p.token_ids)) + [1] * len(p.token_ids) for p in setting.prompts])

    @torch.inference_mode()
    def generate() -> int:
        rows = policy.model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            num_return_sequences=setting.n,
            max_new_tokens=setting.sampling.max_tokens,
            pad_token_id=policy.pad_id,
        )
        return int((rows[:, width:] != policy.pad_id).sum())

    return generate


def continuous(policy: Policy, setting: Setting) -> float:
    """Tokens a second of `generate_batch` on a sixteenth of the rows."""
    from transformers import GenerationConfig

    inputs = [list(prompt.token_ids) for prompt in setting.prompts]
    config = GenerationConfig(
        max_new_tokens=setting.sampling.max_tokens,
        do_sample=True,
        eos_token_id=policy.eos_ids[0],
        pad_token_id=policy.pad_id,
    )
    started = time.perf_counter()
    outputs = policy.model.generate_batch(inputs=inputs, generation_config=config)
    took = time.perf_counter() - started
    return sum(len(output.generated_tokens) for output in outputs.values()) / took


def measured(policy: Policy, setting: Setting, pairs: int, *, with_continuous: bool) -> dict[str, Any]:
    ways: Sequence[Callable[[], int]] = [ours(policy, setting), theirs(policy, setting)]
    tokens = [way() for way in ways]
    seconds = in_turns(ways, pairs)
    rates = [
        sorted(count / one for one in taken)[len(taken) // 2] for count, taken in zip(tokens, seconds, strict=True)
    ]
    per_token = [[one / count for one in taken] for count, taken in zip(tokens, seconds, strict=True)]
    row: dict[str, Any] = {
        "setting": setting.name,
        "tokens a row": tokens[0] / len(setting.prompts) / setting.n,
        "ours tokens/s": rates[0],
        "generate tokens/s": rates[1],
        "times as fast": ratio(*per_token),
        "goal": setting.goal,
    }
    if with_continuous:
        row["generate_batch tokens/s"] = continuous(policy, setting)
    return row


def main() -> None:
    parser = command_line(__doc__, pairs=7, threads=1)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/organisms/good-code"))
    parser.add_argument("--continuous", action="store_true")
    arguments = parser.parse_args()
    prepare_process(arguments.threads)
    if not arguments.model.is_dir():
        build("good-code", arguments.model)
    policy = load(str(arguments.model), device="cpu")
    rows = [
        measured(policy, setting, arguments.pairs, with_continuous=arguments.continuous) for setting in settings(policy)
    ]
    publish("sampling_vs_generate", [Table("Completions from the same prompts", rows)], arguments)


if __name__ == "__main__":
    main()
