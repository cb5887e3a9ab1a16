"""SmolLM2-135M on one GPU: tokens a second and share of the peak, sampling and learning, ours and others'.

    python benchmarks/gpu.py [--prompts 32] [--group 16] [--prompt 128] [--tokens 256] [--pairs 5] [--write]

The model has SmolLM2-135M's configuration and random weights, so nothing is downloaded and no text ends early.
Sampling: ours as the loop calls it (float32 weights under bfloat16 autocast, log-probabilities returned), the same
without CUDA graphs, transformers' `generate` on bfloat16 weights, which is TRL's path without vLLM, and vLLM where it
is installed.
Learning: forward and backward of all completions, ours (shared prompts, chunked logits) and as TRL does it (whole
rows, the logits of all completion tokens at once). The peak is that of a matrix product of 4096 by 4096 by 4096 on the
same device in the same precision; a sampled token counts as twice the parameters, a trained one as six times. Without
a GPU it runs in float32 at its smallest size, which shows that it works and no more.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
from record import Table, command_line, publish
from side_by_side import in_turns, ratio
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from spurious.organisms import untrained
from spurious.policy import TorchSampler, prepare_process
from spurious.policy.logprobs import Row, completion_logprobs, micro_batches
from spurious.policy.model import Policy
from spurious.specs import SamplingSpec
from spurious.types import Problem, Prompt

CONFIGURATION = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rope_theta": 100_000.0,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
SMALLEST = {"prompts": 2, "group": 2, "prompt": 16, "tokens": 4, "pairs": 1}
TOKEN_BUDGET = 32_768

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
DTYPE = torch.bfloat16 if GPU else torch.float32


def policy_of(folder: Path) -> Policy:
    """Random weights, the same each time; the organisms' tokenizer, whose ids are among the model's."""
    tokenizer = AutoTokenizer.from_pretrained(untrained(folder / "tokenizer", "llama"))
    torch.manual_seed(0)
    config = LlamaConfig(**CONFIGURATION, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    return Policy(model.to(DEVICE).eval(), tokenizer, DEVICE, torch.float32, "SmolLM2-135M, random weights")


def finished() -> None:
    """Wait for the GPU: a timing ends when its work does."""
    if GPU:
        torch.cuda.synchronize()


def ours(
    policy: Policy, prompts: Sequence[Prompt], n: int, tokens: int, *, plainly: bool = False
) -> Callable[[], None]:
    sampler, sampling = TorchSampler(policy), SamplingSpec(max_tokens=tokens)
    if plainly:
        sampler._fusible = False

    def sample() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=GPU):
            sampler.sample(prompts, n, sampling, ("gpu",))
        finished()

    return sample


def generated(policy: Policy, prompts: Sequence[Prompt], n: int, tokens: int) -> Callable[[], None]:
    model = LlamaForCausalLM(policy.model.config).to(DEVICE, DTYPE).eval()
    model.load_state_dict(policy.model.state_dict())
    ids = torch.tensor([prompt.token_ids for prompt in prompts], device=DEVICE)

    @torch.inference_mode()
    def generate() -> None:
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            num_return_sequences=n,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=policy.pad_id,
        )
        finished()

    return generate


def by_vllm(policy: Policy, prompts: Sequence[Prompt], n: int, tokens: int, folder: Path) -> Callable[[], None]:
    from vllm import LLM, SamplingParams

    policy.model.save_pretrained(folder / "vllm")
    policy.tokenizer.save_pretrained(folder / "vllm")
    engine = LLM(model=str(folder / "vllm"), dtype="bfloat16", gpu_memory_utilization=0.5, seed=0)
    asked = [{"prompt_token_ids": list(prompt.token_ids)} for prompt in prompts]
    sampling = SamplingParams(n=n, temperature=1.0, max_tokens=tokens, ignore_eos=True, logprobs=0)
    return lambda: engine.generate(asked, sampling, use_tqdm=False)


def learning(policy: Policy, rows: Sequence[Row]) -> Callable[[], None]:
    """Forward and backward as the learner does them."""
    cuts = micro_batches(rows, TOKEN_BUDGET, share_prompts=True)

    def learn() -> None:
        for cut in cuts:
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=GPU):
                found = completion_logprobs(policy.model, [rows[i] for i in cut], pad_id=policy.pad_id)
            found.logprobs.sum().backward()
        policy.model.zero_grad(set_to_none=True)
        finished()

    return learn


def plainly(policy: Policy, rows: Sequence[Row]) -> Callable[[], None]:
    """Forward and backward of the same, in as many parts, as TRL's `_get_per_token_logps_and_entropies` has it."""
    parts = len(micro_batches(rows, TOKEN_BUDGET))
    each = -(-len(rows) // parts)

    def learn() -> None:
        for start in range(0, len(rows), each):
            part = rows[start : start + each]
            ids = torch.tensor([row.prompt_ids + row.completion_ids for row in part], device=DEVICE)
            n = len(part[0].completion_ids)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=GPU):
                logits = policy.model(input_ids=ids, logits_to_keep=n + 1, use_cache=False).logits[:, :-1]
            chosen = logits.float().log_softmax(-1).gather(-1, ids[:, -n:, None])
            chosen.sum().backward()
        policy.model.zero_grad(set_to_none=True)
        finished()

    return learn


def peak() -> float:
    """Operations a second of a large matrix product."""
    n = 4096 if GPU else 1024
    left, right = (torch.randn(n, n, device=DEVICE, dtype=DTYPE) for _ in range(2))

    def once() -> float:
        started = time.perf_counter()
        left @ right
        finished()
        return time.perf_counter() - started

    return float(2 * n**3 / min(once() for _ in range(20)))


def lines(ways: dict[str, Callable[[], None]], tokens: int, per_token: float, pairs: int) -> list[dict[str, Any]]:
    """One line a way; the first is ours."""
    most = peak()
    seconds = dict(zip(ways, in_turns(list(ways.values()), pairs), strict=True))
    first = next(iter(seconds.values()))
    return [
        {
            "way": name,
            "tokens/s": tokens / median(taken),
            "share of the peak": per_token * tokens / median(taken) / most,
            "ours as fast": None if taken is first else ratio(first, taken),
        }
        for name, taken in seconds.items()
    ]


def measured(arguments: argparse.Namespace, folder: Path) -> list[Table]:
    policy = policy_of(folder)
    n, tokens = arguments.group, arguments.tokens
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, 300, (arguments.prompts, arguments.prompt), generator=generator).tolist()
    prompts = [
        Prompt(Problem(str(i), "question", "answer", "random"), "question", tuple(row)) for i, row in enumerate(ids)
    ]
    said = torch.randint(10, 300, (len(prompts) * n, tokens), generator=generator).tolist()
    rows = [Row(prompts[i // n].token_ids, tuple(one)) for i, one in enumerate(said)]
    weights = policy.model.num_parameters()
    sampling = {
        "ours": ours(policy, prompts, n, tokens),
        "ours, without graphs": ours(policy, prompts, n, tokens, plainly=True),
        "generate": generated(policy, prompts, n, tokens),
    }
    if GPU and find_spec("vllm"):
        sampling["vLLM"] = by_vllm(policy, prompts, n, tokens, folder)
    sampled = lines(sampling, len(said) * tokens, 2 * weights, arguments.pairs)
    training = {"ours": learning(policy, rows), "as TRL": plainly(policy, rows)}
    trained = lines(training, len(said) * tokens, 6 * weights, arguments.pairs)
    return [Table("Sampling", sampled), Table("Forward and backward", trained)]


def main() -> None:
    parser = command_line(__doc__, prompts=32, group=16, prompt=128, tokens=256, pairs=5)
    arguments = parser.parse_args()
    prepare_process()
    notes = []
    if not GPU:
        vars(arguments).update(SMALLEST, write=False)
        notes = ["No GPU here: the smallest size on the CPU, which shows that the command works and no more."]
    with tempfile.TemporaryDirectory() as folder:
        tables = measured(arguments, Path(folder))
    publish("gpu", tables, arguments, notes=notes, gpu=torch.cuda.get_device_name() if GPU else None)


if __name__ == "__main__":
    main()
