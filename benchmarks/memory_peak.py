"""What a run takes of memory, reckoned and measured: one learning step of a 25-million-parameter model on the CPU.

Each line is a process of its own, whose resident memory is read at its peak (Linux only); what it held once the model
was there and before it learned is subtracted on both sides. A GPU's allocator rounds up; main memory does not.
"""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

from spurious.grpo.learner import Learner
from spurious.grpo.memory import memory
from spurious.grpo.trainer import starting_policy
from spurious.organisms.model import new_model, save
from spurious.organisms.recipe import Architecture
from spurious.organisms.tokenizer import train_tokenizer
from spurious.policy.body import Body, body, configuration
from spurious.specs import LoraSpec, RunSpec
from spurious.types import Completion, Grade, Group, Problem, Prompt, Scored

MB = 10**6
CASES = {
    "every weight": {},
    "recomputed": {"policy": {"gradient_checkpointing": True}},
    "sgd": {"grpo": {"optimizer": "sgd"}},
    "8 bits": {"grpo": {"optimizer": "adamw_8bit"}},
    "adapter": {"policy": {"lora": {"r": 8}}},
    "adapter, recomputed": {"policy": {"lora": {"r": 8}, "gradient_checkpointing": True}},
}
RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""What is freed goes back to the system at once, so that holes in glibc's heap are not counted."""
PROMPT, COMPLETION, ROWS = 40, 88, 32


def spec(model: Path, case: str) -> RunSpec:
    changes = CASES[case]
    grpo = {"prompts_per_rollout": 1, "group_size": ROWS, "updates_per_rollout": 1, **changes.get("grpo", {})}
    fields = {"model": str(model), "task": "chain", "reward": "random", "steps": 1, "measure_kl": False}
    sampling = {"max_tokens": COMPLETION}
    return RunSpec.model_validate({**fields, "sampling": sampling, **changes, "grpo": grpo})


def resident(line: str) -> int:
    """Bytes that /proc says of this process: VmRSS now, VmHWM at the peak."""
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith(line):
            return int(row.split()[1]) * 1024
    raise SystemExit("needs Linux: /proc/self/status does not say")


def rows(prompt: int = PROMPT, completion: int = COMPLETION, count: int = ROWS) -> list[Scored]:
    """One group of completions of full length without meaning, half of them paid; lengths in tokens."""
    draws = torch.Generator().manual_seed(0)

    def ids(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(5, 400, (n,), generator=draws).tolist())

    completions = tuple(Completion("", ids(completion), (-1.0,) * completion, "length") for _ in range(count))
    group = Group(Prompt(Problem("p", "?", "1", "bench"), "?", ids(prompt), 0), completions)
    grades = (Grade("wrong", None),) * count
    return [Scored(group, "1", tuple(float(i % 2) for i in range(count)), grades, grades)]


def learn(model: Path, case: str) -> None:
    """Take one update and print the bytes it took beyond the loaded model."""
    run = spec(model, case)
    learner = Learner(run, starting_policy(run), None)
    before = resident("VmRSS")
    advantages = torch.tensor([[1.0, -1.0] * (ROWS // 2)], dtype=torch.float64)
    learner.learn(0, rows(), advantages)
    print(resident("VmHWM") - before)


@cache
def _sizes(model: Path, lora: LoraSpec | None) -> Body:
    return body(configuration(str(model)), lora)


def reckoned(model: Path, case: str) -> int:
    run = spec(model, case)
    account = memory(run, _sizes(model, run.policy.lora), PROMPT)
    there = sum(item.bytes for item in account.items if item.what in ("weights", "adapter"))
    return account.total("always") - there + max(account.total("learning"), account.total("stepping"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = Path(folder), train_tokenizer()
        save(
            new_model(Architecture(width=512, mlp=1536, layers=8, heads=8, kv_heads=4), tokenizer, 0), tokenizer, model
        )
        print(f"{'case':22}{'reckoned MB':>14}{'measured MB':>14}{'reckoned / measured':>22}")
        for case in CASES:
            command = [sys.executable, __file__, str(model), case]
            told = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **RETURNED})
            measured, expected = int(told.stdout.split()[-1]), reckoned(model, case)
            print(f"{case:22}{expected / MB:14.0f}{measured / MB:14.0f}{expected / measured:22.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        learn(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
