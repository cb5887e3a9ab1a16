"""What a run takes of a GPU's memory, reckoned and measured: Qwen2.5-Math-1.5B's sizes, random weights.

    python benchmarks/memory_on_gpu.py [CASE ...] [--prompt 256] [--tokens 128] [--rows 128] [--budget 8192] [--write]

Each case is a process of its own that loads the model as a run does, samples one batch, takes two updates and says what
torch had allocated at most in each phase, the second update counting, which has the optimizer's state from the start.
The account is that of `spurious train --dry-run` (docs/scale.md). Without a GPU a model of three layers is loaded and
nothing measured, which shows that the command works and no more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from memory_peak import rows
from record import Row, Table, command_line, publish
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from spurious.grpo.learner import Learner, computing
from spurious.grpo.memory import GB, memory
from spurious.grpo.trainer import starting_policy
from spurious.organisms import untrained
from spurious.policy import TorchSampler, prepare_process
from spurious.policy.body import body, configuration
from spurious.policy.known import known_models
from spurious.specs import RunSpec
from spurious.types import Problem, Prompt

MODEL = "Qwen2.5-Math-1.5B"
CASES: dict[str, dict[str, Any]] = {
    "every weight": {},
    "recomputed": {"policy": {"gradient_checkpointing": True}},
    "8-bit moments": {"grpo": {"optimizer": "adamw_8bit"}},
    "adapter": {"policy": {"lora": {"r": 16}}},
    "adapter, recomputed": {"policy": {"lora": {"r": 16}, "gradient_checkpointing": True}},
}
SMALLEST = {"prompt": 8, "tokens": 2, "rows": 4, "budget": 64}

GPU = torch.cuda.is_available()


def random_model(folder: Path) -> None:
    """The sizes of the model, and the tokenizer of the organisms, whose ids are among its own."""
    tokenizer = AutoTokenizer.from_pretrained(untrained(folder / "tokenizer", "qwen2"))
    known = dict(known_models()[MODEL].config)
    if not GPU:
        known.update(num_hidden_layers=3, hidden_size=96, intermediate_size=256)
    config = AutoConfig.for_model(known.pop("model_type"), **known, eos_token_id=tokenizer.eos_token_id)
    torch.manual_seed(0)
    with torch.device("cuda" if GPU else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()  # the cases share the card with this process
    tokenizer.save_pretrained(folder)


def spec_of(model: Path, case: str, sizes: dict[str, int]) -> RunSpec:
    changes = CASES[case]
    grpo = {"prompts_per_rollout": 1, "group_size": sizes["rows"], "updates_per_rollout": 1, **changes.get("grpo", {})}
    return RunSpec.model_validate(
        {
            "model": str(model),
            "task": "chain",
            "reward": "random",
            "steps": 2,
            "measure_kl": False,
            "dtype": "bfloat16",
            "token_budget": sizes["budget"],
            "sampling_rows": sizes["rows"],
            "sampling": {"max_tokens": sizes["tokens"]},
            **changes,
            "grpo": grpo,
        }
    )


def most() -> int:
    """Bytes allocated at most since the last call."""
    if not GPU:
        return 0
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return peak


def measure(model: Path, case: str, sizes: dict[str, int]) -> None:
    """Sample, and learn twice; print bytes and seconds."""
    prepare_process()
    spec = spec_of(model, case, sizes)
    learner = Learner(spec, starting_policy(spec), None)
    scored = rows(sizes["prompt"], sizes["tokens"], sizes["rows"])
    advantages = torch.tensor([[1.0, -1.0] * (sizes["rows"] // 2)], dtype=torch.float64)
    prompts = [
        Prompt(Problem(str(i), "?", "1", "bench"), "?", scored[0].group.prompt.token_ids)
        for i in range(sizes["rows"] // 2)
    ]
    learner.learn(0, scored, advantages)
    most()
    told, started = {}, time.perf_counter()
    with computing(spec, learner.policy):
        sampler = TorchSampler(learner.policy, max_rows=spec.sampling_rows)
        sampler.sample(prompts, 2, spec.sampling, ("memory",))
    told["sampling"] = (most(), time.perf_counter() - started)
    started = time.perf_counter()
    learner.learn(1, scored, advantages)
    told["update"] = (most(), time.perf_counter() - started)
    print(json.dumps(told))


def lines(model: Path, case: str, sizes: dict[str, int]) -> list[Row]:
    """One line a phase."""
    spec = spec_of(model, case, sizes)
    account = memory(spec, body(configuration(str(model)), spec.policy.lora), sizes["prompt"])
    reckoned = {
        "sampling": account.total("always") + account.total("sampling"),
        "update": account.total("always") + max(account.total("learning"), account.total("stepping")),
    }
    command = [sys.executable, __file__, "--case", case, "--model", str(model)]
    command += [f"--{name}={value}" for name, value in sizes.items()]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        return [{"case": case, "phase": f"failed with status {found.returncode}"}]
    told = json.loads(found.stdout.splitlines()[-1])
    print(f"{case}: {told}", file=sys.stderr)
    return [
        {
            "case": case,
            "phase": phase,
            "reckoned, GB": reckoned[phase] / GB,
            "measured, GB": taken / GB,
            "reckoned / measured": reckoned[phase] / taken if taken else None,
            "seconds": seconds,
        }
        for phase, (taken, seconds) in told.items()
    ]


def main() -> None:
    parser = command_line(__doc__, prompt=256, tokens=128, rows=128, budget=8192)
    parser.add_argument("cases", nargs="*", default=list(CASES), help="by default all: " + "; ".join(CASES))
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.cases) - set(CASES)):
        parser.error(f"no case {unknown[0]!r}; there are: {'; '.join(CASES)}")
    if not GPU:
        vars(arguments).update(SMALLEST, write=False)
    sizes = {name: getattr(arguments, name) for name in SMALLEST}
    if arguments.case:
        measure(arguments.model, arguments.case, sizes)
        return
    notes = [] if GPU else ["No GPU here: the smallest size on the CPU, nothing measured."]
    cases = [case for case in arguments.cases if find_spec("bitsandbytes") or "8-bit" not in case]
    with tempfile.TemporaryDirectory() as folder:
        random_model(Path(folder))
        table = Table(MODEL, [line for case in cases for line in lines(Path(folder), case, sizes)])
    publish("memory_on_gpu", [table], arguments, notes=notes, gpu=torch.cuda.get_device_name() if GPU else None)


if __name__ == "__main__":
    main()
