"""Peak memory of one training update, ours against TRL's trainer without Liger, at a vocabulary of 151,936.

    python benchmarks/memory.py [--completion 32 64 128] [--prompt 32 128 512] [--rows 16] [--write]

A tiny body (width 64, two layers) under the output embedding of a large model, so that what grows is what hangs on the
vocabulary. Every point is a process of its own that takes one update over one group, its completions made up and of
full length; sampling is left out on both sides. The peak is what the process's resident memory rises by from just
before the update, sampled by the kernel (VmHWM). Completions grow at a prompt of the first length, prompts at a
completion of the first. Needs the extra `trl`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import Table, command_line, publish

VOCABULARY = 151_936
WAYS = ("ours", "TRL")
GOAL = 0.5


def point(way: str, prompt: int, completion: int, rows: int) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    command = [sys.executable, __file__, "--one", way, str(prompt), str(completion), str(rows)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def body(folder: Path) -> Path:
    """A directory with the model: the organisms' tokenizer, and a vocabulary far larger than it needs."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    from spurious.organisms import untrained

    tokenizer = AutoTokenizer.from_pretrained(untrained(folder / "small", "qwen2"))
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def ours(model: Path, prompt: list[int], completions: list[list[int]]) -> int:
    """Bytes that `Learner.learn` takes for its update."""
    import torch

    from spurious.grpo.learner import Learner
    from spurious.grpo.trainer import assign_credit
    from spurious.policy import load
    from spurious.specs import RunSpec
    from spurious.types import Completion, Grade, Group, Problem, Prompt, Scored

    rows, longest = len(completions), len(completions[0])
    spec = RunSpec.model_validate(
        {
            "model": str(model),
            "task": "chain",
            "reward": "random",
            "grpo": {"prompts_per_rollout": 1, "group_size": rows, "updates_per_rollout": 1},
            "sampling": {"max_tokens": longest},
            "steps": 1,
        }
    )
    policy = load(str(model), device="cpu")
    asked = Prompt(Problem("p", "question", "answer", "made up"), "question", tuple(prompt))
    said = tuple(Completion("text", tuple(ids), (-12.0,) * longest, "length") for ids in completions)
    grades = (Grade("wrong", None),) * rows
    rewards = tuple(float(i % 2) for i in range(rows))
    scored = [Scored(Group(asked, said), "answer", rewards, grades, grades)]
    learner = Learner(spec, policy, None)
    before = resident(policy.model)
    learner.learn(0, scored, assign_credit(spec, scored))
    assert torch.isfinite(next(policy.model.parameters())).all()
    return peak() - before


def theirs(model: Path, prompt: list[int], completions: list[list[int]], folder: Path) -> int:
    """Bytes that TRL's trainer takes for the same: its loss on a batch of its own form, and a step of AdamW."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    rows, longest = len(completions), len(completions[0])
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=rows,
        num_generations=rows,
        max_completion_length=longest,
        beta=0.0,
        loss_type="grpo",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = GRPOTrainer(
        model=str(model),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["question"] * rows}),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    weights = trainer.model
    optimizer = torch.optim.AdamW(weights.parameters(), lr=1e-6)
    ids = torch.tensor(completions)
    batch = {
        "prompt_ids": torch.tensor(prompt).expand(rows, -1),
        "prompt_mask": torch.ones(rows, len(prompt), dtype=torch.long),
        "completion_ids": ids,
        "completion_mask": torch.ones_like(ids),
        "advantages": torch.tensor([1.0 if i % 2 else -1.0 for i in range(rows)]),
        "num_items_in_batch": ids.numel(),
    }
    trainer.current_gradient_accumulation_steps = 1
    before = resident(weights)
    weights.train()
    trainer.compute_loss(weights, batch).backward()
    torch.nn.utils.clip_grad_norm_(weights.parameters(), 1.0)
    optimizer.step()
    return peak() - before


def resident(model: Any) -> int:
    """Bytes of memory in use once every weight has been read, and the kernel's peak set back to them."""
    for weights in model.parameters():
        weights.sum()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def peak() -> int:
    """The most bytes in use since `resident`."""
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def one(way: str, prompt: int, completion: int, rows: int) -> None:
    """The work of a child."""
    from spurious.policy import prepare_process

    prepare_process(1)
    with tempfile.TemporaryDirectory() as folder:
        model = body(Path(folder))
        asked = [5 + i % 300 for i in range(prompt)]
        said = [[5 + (7 * row + i) % 300 for i in range(completion)] for row in range(rows)]
        used = ours(model, asked, said) if way == "ours" else theirs(model, asked, said, Path(folder) / "trl")
    print(json.dumps({"bytes": used}))


def compared(points: list[tuple[int, int]], rows: int) -> list[dict[str, Any]]:
    """One line a point."""
    lines = []
    for prompt, completion in points:
        mine, other = (point(way, prompt, completion, rows)["bytes"] / 2**20 for way in WAYS)
        lines.append(
            {
                "prompt tokens": prompt,
                "completion tokens": completion,
                "ours, MiB": mine,
                "TRL, MiB": other,
                "share of TRL's": mine / other,
                "goal": GOAL,
            }
        )
        print(lines[-1], file=sys.stderr)
    return lines


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        way, *sizes = sys.argv[2:]
        one(way, *map(int, sizes))
        return
    parser = command_line(__doc__, rows=16)
    parser.add_argument("--completion", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--prompt", type=int, nargs="+", default=[32, 128, 512])
    arguments = parser.parse_args()
    try:
        import trl  # noqa: F401
    except ImportError:
        print("memory: trl is not installed (pip install '.[trl]'), nothing is measured")
        return
    first_prompt, first_completion = arguments.prompt[0], arguments.completion[0]
    by_completion = compared([(first_prompt, n) for n in arguments.completion], arguments.rows)
    by_prompt = compared([(n, first_completion) for n in arguments.prompt[1:]], arguments.rows)
    tables = [
        Table("One update, completions growing", by_completion),
        Table("One update, prompts growing", [by_completion[0], *by_prompt]),
    ]
    publish("memory", tables, arguments)


if __name__ == "__main__":
    main()
