"""The one update that `conformance.py` puts to every trainer: a policy, completions, rewards, and our own numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spurious.grpo import advantage
from spurious.grpo.advantage import credit
from spurious.grpo.batch import minibatch
from spurious.grpo.loss import grpo_loss
from spurious.organisms import untrained
from spurious.policy import completion_logprobs, load
from spurious.policy.model import Policy
from spurious.specs import GrpoSpec
from spurious.types import Completion, Group, Problem, Prompt, Scored

P, G, LONGEST = 3, 4, 12

OPTIONS: dict[str, dict[str, Any]] = {
    "group std, mean by sequence, clip 0.2": {},
    "group mean": {"advantage": "group_mean"},
    "leave one out (rloo)": {"advantage": "rloo"},
    "mean over tokens": {"length_norm": "token"},
    "sum over a constant": {"length_norm": "constant"},
    "no clip": {"clip_low": None, "clip_high": None},
    "lower clip only": {"clip_high": None},
    "upper clip only": {"clip_low": None},
    "clip 0.1 below, 0.3 above": {"clip_low": 0.1, "clip_high": 0.3},
    "ratio to recomputed log-probabilities": {"old_logprobs": "recomputed"},
    "KL 0.5": {"kl": 0.5},
    "KL 0.5, mean over tokens": {"kl": 0.5, "length_norm": "token"},
    "entropy bonus 0.1, mean over tokens": {"entropy_bonus": 0.1, "length_norm": "token"},
    "temperature 0.7": {"temperature": 0.7},
}
"""What is told apart from the first line, which is the default of `GrpoSpec`."""


@dataclass(frozen=True)
class Numbers:
    """What an update is made of."""

    advantages: Tensor
    """(P x G,)"""
    loss: float
    gradient: Tensor
    """Flat: of every weight, or of every log-probability."""


@dataclass(frozen=True)
class Material:
    """The same for everybody: a policy that has moved from its start, and completions of neither of them."""

    policy: Policy
    start: Policy
    scored: list[Scored]

    @property
    def rewards(self) -> Tensor:
        return torch.tensor([one.rewards for one in self.scored], dtype=torch.float64)

    @property
    def lengths(self) -> Tensor:
        return torch.tensor([[len(c.token_ids) for c in one.group.completions] for one in self.scored])


def material(folder: Path) -> Material:
    """Twelve completions of random tokens and lengths, whose sampler was 30 percent off; rewards of three kinds."""
    directory = untrained(folder / "model", "qwen2")
    generator = torch.Generator().manual_seed(0)
    policy, start = load(str(directory), device="cpu"), load(str(directory), device="cpu")
    with torch.no_grad():
        for weights in policy.model.parameters():
            weights.add_(0.05 * weights.std().nan_to_num() * torch.randn(weights.shape, generator=generator))
    drawn = torch.randint(5, 400, (P, G, LONGEST), generator=generator).tolist()
    lengths = torch.randint(2, LONGEST + 1, (P, G), generator=generator).tolist()
    rewards = [[1.0, 0.0, 0.0, 1.0], [0.3, 0.9, 0.1, 0.4], [1.0, 1.0, 1.0, 0.0]]
    scored = []
    for p in range(P):
        prompt = Prompt(Problem(str(p), "q", "1", "s"), "q", tuple(range(7, 10 + p)))
        ids = [tuple(drawn[p][g][: lengths[p][g]]) for g in range(G)]
        noise = [0.3 * torch.randn(len(row), generator=generator) for row in ids]
        completions = tuple(
            Completion("", row, tuple(map(float, n)), "length") for row, n in zip(ids, noise, strict=True)
        )
        scored.append(Scored(Group(prompt, completions), "1", tuple(rewards[p]), (), ()))
    return _with_logprobs(Material(policy, start, scored))


def _with_logprobs(made: Material) -> Material:
    """Put the policy's log-probabilities under the noise that the completions carry."""
    batch = batch_of(made, GrpoSpec(kl=1.0), torch.ones(P, G))
    with torch.no_grad():
        logprobs = completion_logprobs(made.policy.model, batch.rows, pad_id=0).logprobs.split(batch.lengths)
    rows = iter(logprobs)
    scored = []
    for one in made.scored:
        completions = tuple(
            Completion("", c.token_ids, tuple((next(rows) + torch.tensor(c.sampler_logprobs)).tolist()), c.stop)
            for c in one.group.completions
        )
        scored.append(Scored(Group(one.group.prompt, completions), one.label, one.rewards, (), ()))
    return Material(made.policy, made.start, scored)


def batch_of(made: Material, spec: GrpoSpec, advantages: Tensor) -> Any:
    return minibatch(made.scored, advantages, range(P * G), spec=spec, max_tokens=LONGEST)


def spec_of(option: str) -> tuple[GrpoSpec, float]:
    """The estimator of an option, and its temperature."""
    changes = dict(OPTIONS[option])
    temperature = changes.pop("temperature", 1.0)
    return GrpoSpec(prompts_per_rollout=P, group_size=G, updates_per_rollout=1, **changes), temperature


@contextmanager
def std_eps(value: float) -> Iterator[None]:
    """Our standard deviations with another trainer's epsilon, to compare all the rest."""
    ours, advantage.STD_EPS = advantage.STD_EPS, value
    try:
        yield
    finally:
        advantage.STD_EPS = ours


def our_advantages(made: Material, spec: GrpoSpec) -> Tensor:
    return credit(made.rewards, made.lengths, kind=spec.advantage)


def ours(made: Material, option: str, *, of_logprobs: bool = False) -> Numbers:
    """Our update: the gradient is that of the weights, or of the log-probabilities if they are taken as given."""
    spec, temperature = spec_of(option)
    advantages = our_advantages(made, spec)
    batch = batch_of(made, spec, advantages)
    told = completion_logprobs(
        made.policy.model, batch.rows, pad_id=0, temperature=temperature, with_entropy=not of_logprobs
    )
    logprobs = told.logprobs.detach().requires_grad_() if of_logprobs else told.logprobs
    reference = None
    if spec.kl:
        with torch.no_grad():
            reference = completion_logprobs(made.start.model, batch.rows, pad_id=0, temperature=temperature).logprobs
    old = batch.sampler_logprobs if spec.old_logprobs == "sampler" else told.logprobs.detach()
    loss = grpo_loss(
        logprobs,
        old,
        batch.advantages,
        batch.weights,
        clip_low=spec.clip_low,
        clip_high=spec.clip_high,
        kl=spec.kl,
        reference_logprobs=reference,
        entropy_bonus=spec.entropy_bonus,
        entropies=told.entropies,
    )
    loss.backward()
    gradient = logprobs.grad if of_logprobs else gradient_of(made.policy.model)
    assert gradient is not None
    return Numbers(advantages.flatten().float(), float(loss.detach()), gradient)


def gradient_of(model: Any) -> Tensor:
    flat = torch.cat([weights.grad.flatten().clone() for weights in model.parameters()])
    model.zero_grad(set_to_none=True)
    return flat
