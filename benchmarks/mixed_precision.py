"""What bfloat16 autocast changes: the same completions of one model, computed once more in mixed precision.

    python benchmarks/mixed_precision.py [MODEL]

MODEL is a model directory; without one the organism good-code is built first, which takes some minutes. Prints one JSON
document: how far log-probabilities of sampled tokens, the gradient of a policy-gradient loss and greedy answers are
apart. Exit status 1: further than docs/guarantees.md says.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch

from spurious.grpo.learner import computing
from spurious.organisms import build
from spurious.policy import TorchSampler, load, prepare_process
from spurious.policy.ask import asker
from spurious.policy.logprobs import Row, completion_logprobs
from spurious.policy.model import Policy
from spurious.specs import RunSpec, SamplingSpec
from spurious.tasks import load_task

PROBLEMS, SAMPLES = 64, 4
BOUNDS = {"logprob_mean": 0.005, "logprob_max": 0.2, "gradient_relative": 0.05}
"""On a model of a third of a million parameters; bfloat16 has eight bits, a rounding of 0.4 %."""


def compare(policy: Policy, problems: int = PROBLEMS, samples: int = SAMPLES) -> dict[str, float]:
    """Mixed precision against float32 on the chain task."""
    fields = {"model": policy.source, "task": {"chain": {"size": problems}}, "reward": "random", "steps": 1}
    specs = {dtype: RunSpec.model_validate({**fields, "dtype": dtype}) for dtype in ("float32", "bfloat16")}
    task = load_task(specs["float32"].task)
    ask, sampler = asker(specs["float32"].task, task, policy), TorchSampler(policy)
    prompts = ask.prompts(task.problems)
    groups = sampler.sample(prompts, samples, ask.sampling(SamplingSpec(max_tokens=64)), ("mixed precision",))
    rows = [Row(g.prompt.token_ids, c.token_ids) for g in groups for c in g.completions]
    signs = [1.0 if i % 2 else -1.0 for i in range(len(rows))]
    weights = torch.cat([torch.full((len(row.completion_ids),), s) for row, s in zip(rows, signs, strict=True)])
    logprobs, gradients, answers = {}, {}, {}
    for dtype, spec in specs.items():
        policy.model.zero_grad(set_to_none=True)
        with computing(spec, policy):
            found = completion_logprobs(policy.model, rows, pad_id=policy.pad_id, temperature=1.0).logprobs
        (found * weights).mean().backward()
        logprobs[dtype] = found.detach().double()
        gradients[dtype] = torch.cat([p.grad.flatten().double() for p in policy.model.parameters()])
        with computing(spec, policy):
            greedy = sampler.sample(prompts, 1, ask.sampling(SamplingSpec(max_tokens=64, temperature=0)), ("greedy",))
        answers[dtype] = [group.texts[0] for group in greedy]
    policy.model.zero_grad(set_to_none=True)
    apart = (logprobs["bfloat16"] - logprobs["float32"]).abs()
    full, half = gradients["float32"], gradients["bfloat16"]
    same = sum(one == other for one, other in zip(*answers.values(), strict=True))
    return {
        "tokens": len(apart),
        "logprob_mean": float(apart.mean()),
        "logprob_p99": float(apart.quantile(0.99)),
        "logprob_max": float(apart.max()),
        "gradient_relative": float((half - full).norm() / full.norm()),
        "gradient_cosine": float(full @ half / full.norm() / half.norm()),
        "same_greedy_answers": same / len(prompts),
    }


def main() -> int:
    prepare_process()
    with tempfile.TemporaryDirectory() as folder:
        model = sys.argv[1] if len(sys.argv) > 1 else build("good-code", Path(folder) / "good-code")
        found = compare(load(str(model)))
    print(json.dumps({**found, "bounds": BOUNDS}, indent=2))
    return 0 if all(found[name] <= bound for name, bound in BOUNDS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
