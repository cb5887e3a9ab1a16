"""Advantages, loss and gradient of other trainers beside ours, on the same weights, completions and rewards.

    python benchmarks/conformance.py [--write]

Measures every peer that can be imported (TRL, verl, OpenRLHF), each with its own code, and prints the largest
differences. `--write` puts them into docs/conformance.json, beside what was measured elsewhere, and into the tables of
docs/engines.md. TRL runs whole: its trainer makes the advantages, the forward pass, the loss and the gradient of the
weights. verl and OpenRLHF need GPUs for that: their loss functions get our log-probabilities, and the gradient is that
of the log-probabilities.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from conformance_case import (
    LONGEST,
    OPTIONS,
    G,
    Material,
    Numbers,
    P,
    batch_of,
    gradient_of,
    material,
    our_advantages,
    ours,
    spec_of,
    std_eps,
)
from torch import Tensor

from spurious.policy import completion_logprobs
from spurious.report.marked import filled, table
from spurious.specs import GrpoSpec

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE = ROOT / "docs" / "conformance.json", ROOT / "docs" / "engines.md"


def through_trl(made: Material, option: str, folder: Path) -> Numbers:
    """TRL's trainer from the rewards to the gradient; what it generates are our completions (`rollout_func`)."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from spurious.engines.trl.plan import Passes, arguments
    from spurious.specs import RunSpec

    spec, temperature = spec_of(option)
    run = RunSpec.model_validate(
        {
            "model": made.policy.source,
            "task": "chain",
            "reward": "random",
            "steps": 1,
            "grpo": spec,
            "sampling": {"max_tokens": LONGEST, "temperature": temperature},
        }
    )
    told = arguments(run, Passes(P * G, 1), 1, cuda=False)
    scales = {"group_std": "group", "group_mean": "none"}[spec.advantage]
    rows = [
        (one.group.prompt, c, r) for one in made.scored for c, r in zip(one.group.completions, one.rewards, strict=True)
    ]

    def generated(prompts: list[str], trainer: Any) -> dict[str, Any]:
        return {
            "prompt_ids": [list(prompt.token_ids) for prompt, _, _ in rows],
            "completion_ids": [list(completion.token_ids) for _, completion, _ in rows],
            "logprobs": [list(completion.sampler_logprobs) for _, completion, _ in rows],
        }

    def reward(**_: Any) -> list[float]:
        return [value for _, _, value in rows]

    class Quiet(GRPOTrainer):
        def _send_telemetry(self) -> None: ...

    trainer = Quiet(
        model=made.policy.model,
        reward_funcs=reward,
        args=GRPOConfig(**{**told, "scale_rewards": scales, "output_dir": str(folder / "trl")}),
        train_dataset=Dataset.from_dict({"prompt": ["q"] * P}),
        processing_class=made.policy.tokenizer,
        rollout_func=generated,
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    inputs = trainer._generate_and_score_completions([{"prompt": "q"} for _ in rows])
    if spec.old_logprobs == "sampler":
        inputs["old_per_token_logps"] = inputs["sampling_per_token_logps"]
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    gradient = gradient_of(made.policy.model)
    made.policy.model.eval()
    return Numbers(inputs["advantages"], float(loss.detach()), gradient)


def _grid(made: Material, flat: Tensor) -> Tensor:
    """(N,) values of completion tokens as (P x G, LONGEST)."""
    grid = torch.zeros(P * G, LONGEST, dtype=flat.dtype)
    parts = flat.split(made.lengths.flatten().tolist())
    return torch.stack([torch.cat([part, grid[i, len(part) :]]) for i, part in enumerate(parts)])


def _given(made: Material, spec: GrpoSpec, advantages: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Leaf log-probabilities (N,), and as grids: old ones, those of the reference, mask."""
    batch = batch_of(made, GrpoSpec(kl=1.0), advantages)
    with torch.no_grad():
        logprobs = completion_logprobs(made.policy.model, batch.rows, pad_id=0).logprobs
        reference = completion_logprobs(made.start.model, batch.rows, pad_id=0).logprobs
    old = batch.sampler_logprobs if spec.old_logprobs == "sampler" else logprobs.clone()
    mask = torch.arange(LONGEST) < made.lengths.flatten()[:, None]
    return logprobs.requires_grad_(), _grid(made, old), _grid(made, reference), mask.float()


def through_verl(made: Material, option: str, _: Path) -> Numbers:
    """verl's advantage and loss functions. Without a clip its three bounds are put out of reach."""
    from omegaconf import OmegaConf
    from verl.trainer.ppo import core_algos

    spec, _temperature = spec_of(option)
    leaf, old, reference, mask = _given(made, spec, made.rewards)
    index = np.repeat(np.arange(P), G)
    scores = torch.zeros(P * G, LONGEST)
    scores[:, 0] = made.rewards.flatten().float()
    if spec.advantage == "rloo":
        grid, _returns = core_algos.compute_rloo_outcome_advantage(scores, mask, index)
    else:
        scaled = spec.advantage == "group_std"
        grid, _returns = core_algos.compute_grpo_outcome_advantage(scores, mask, index, norm_adv_by_std_in_grpo=scaled)
    bounds = {"low": spec.clip_low, "high": spec.clip_high}
    config = OmegaConf.create(
        {
            "clip_ratio": 0.2,
            **{f"clip_ratio_{side}": 1e6 if bound is None else bound for side, bound in bounds.items()},
            "clip_ratio_c": 1e9,
            "global_batch_info": {},
        }
    )
    modes = {"sequence": "seq-mean-token-mean", "token": "token-mean", "constant": "seq-mean-token-sum-norm"}
    mode = modes[spec.length_norm]
    logprobs = _grid(made, leaf)
    loss, _metrics = core_algos.compute_policy_loss_vanilla(old, logprobs, grid, mask, mode, config)
    if spec.kl:
        kl = core_algos.kl_penalty(logprobs, reference, "low_var_kl")
        loss = loss + spec.kl * core_algos.agg_loss(kl, mask, mode)
    loss.backward()
    assert leaf.grad is not None
    return Numbers(grid[:, 0].clone(), float(loss.detach()), leaf.grad)


def through_openrlhf(made: Material, option: str, _: Path) -> Numbers:
    """OpenRLHF's loss module; its advantages are made inside its Ray actors, so they are its lines, written again."""
    utils, losses = _openrlhf_modules()
    spec, _temperature = spec_of(option)
    rewards = made.rewards.float()
    if spec.advantage == "rloo":
        shaped = rewards - (rewards.sum(-1, keepdim=True) - rewards) / (G - 1)
    else:
        shaped = rewards - rewards.mean(-1, keepdim=True)
        if spec.advantage == "group_std":
            shaped = shaped / (rewards.std(-1, keepdim=True) + 1e-9)
    leaf, old, reference, mask = _given(made, spec, made.rewards)
    low, high = (1e6 if bound is None else bound for bound in (spec.clip_low, spec.clip_high))
    policy_loss = losses.PolicyLoss(low, high, dual_clip=None, token_level_loss=spec.length_norm == "token")
    logprobs = _grid(made, leaf)
    loss = policy_loss(logprobs, old, shaped.flatten()[:, None].expand_as(mask), action_mask=mask)[0]
    if spec.kl:
        kl = utils.compute_approx_kl(logprobs, reference, kl_estimator="k3")
        loss = loss + spec.kl * losses.aggregate_loss(kl, mask, token_level_loss=spec.length_norm == "token")
    loss.backward()
    assert leaf.grad is not None
    return Numbers(shaped.flatten(), float(loss.detach()), leaf.grad)


def _openrlhf_modules() -> tuple[ModuleType, ModuleType]:
    """`openrlhf.models.utils` and `.loss` without their package, which wants flash-attn and deepspeed."""
    found = find_spec("openrlhf")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "models"
    package = ModuleType("openrlhf_models")
    package.__path__ = [str(folder)]
    sys.modules["openrlhf_models"] = package
    made = []
    absent = [name for name in ("deepspeed", "flash_attn") if find_spec(name) is None]
    sys.modules.update({name: ModuleType(name) for name in absent})  # imported there, and not used by what is called
    for name in ("utils", "loss"):
        spec = spec_from_file_location(f"openrlhf_models.{name}", folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        made.append(module)
    for name in absent:
        del sys.modules[name]
    return made[0], made[1]


@dataclass(frozen=True)
class Peer:
    """Another trainer: how it is measured, and which options it does not have, and why."""

    package: str
    through: Callable[[Material, str, Path], Numbers]
    eps: float
    """What it adds to a standard deviation."""
    whole: bool
    """Whether it makes the forward pass and the gradient of the weights itself."""
    without: dict[str, str]


_NOT_OURS = "not of its loss function"
PEERS = {
    "TRL": Peer("trl", through_trl, 1e-4, True, {"leave one out (rloo)": "no such advantage"}),
    "verl": Peer(
        "verl",
        through_verl,
        1e-6,
        False,
        {"entropy bonus 0.1, mean over tokens": _NOT_OURS, "temperature 0.7": _NOT_OURS},
    ),
    "OpenRLHF": Peer(
        "openrlhf",
        through_openrlhf,
        1e-9,
        False,
        {
            "sum over a constant": "no such norm",
            "entropy bonus 0.1, mean over tokens": _NOT_OURS,
            "temperature 0.7": _NOT_OURS,
        },
    ),
}


def measure(name: str) -> dict[str, Any]:
    """The largest differences of one peer: {version, options: {option: {advantage, loss, gradient} or why not}}."""
    peer = PEERS[name]
    options: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = material(Path(folder))
        for option in OPTIONS:
            if option in peer.without:
                options[option] = peer.without[option]
                continue
            theirs = peer.through(made, option, Path(folder))
            bare = our_advantages(made, spec_of(option)[0]).flatten().float()
            with std_eps(peer.eps):
                same = ours(made, option, of_logprobs=not peer.whole)
            options[option] = {
                "advantage as it stands": float((bare - theirs.advantages).abs().max()),
                "advantage": float((same.advantages - theirs.advantages).abs().max()),
                "loss": abs(same.loss - theirs.loss),
                "gradient": float((same.gradient - theirs.gradient).abs().max()),
                "largest gradient": float(same.gradient.abs().max()),
            }
    return {"version": version(peer.package), "options": options}


def tables(record: dict[str, Any]) -> str:
    """What was measured, a table for each peer."""
    return "\n\n".join(_table(name, record[name]) for name in PEERS if name in record)


def _table(name: str, found: dict[str, Any]) -> str:
    heads = ("option", "advantage, as they stand", "advantage, one epsilon", "loss", "gradient", "largest gradient")
    rows = [
        (option, row, "", "", "", "") if isinstance(row, str) else (option, *(f"{value:.1e}" for value in row.values()))
        for option, row in found["options"].items()
    ]
    return f"**{name} {found['version']}**\n\n{table(heads, rows)}"


def page(record: dict[str, Any]) -> str:
    """The text of the page with the tables of a record."""
    return filled(PAGE, "measured", lambda _: tables(record))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/conformance.json and docs/engines.md")
    arguments = parser.parse_args()
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    found = {name: measure(name) for name, peer in PEERS.items() if find_spec(peer.package)}
    print(tables(found) or "none of TRL, verl and OpenRLHF is installed")
    if arguments.write:
        record = (json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}) | found
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
