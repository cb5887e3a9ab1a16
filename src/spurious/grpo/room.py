"""Whether a run fits on its device, reckoned before anything is loaded: cut to the room there is, or refused.

On a GPU the tokens of a pass and the completions drawn at once are cut to what its free memory holds. The manifest
keeps the cut and a resumed run keeps to it, since it decides how a gradient is rounded. On a CPU nothing is cut, and
models of less than 50 million parameters are not reckoned at all.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig

from spurious.errors import SpecError
from spurious.grpo.arm import Arm
from spurious.grpo.memory import GB, largest_budget, largest_rows, memory
from spurious.policy.ask import asker, longest_prompt
from spurious.policy.body import Body, body, configuration
from spurious.policy.model import load_tokenizer
from spurious.specs import RunSpec
from spurious.store.adapter import adapter_base

SMALL = 50_000_000
"""Parameters below which neither memory nor a checkpoint costs anything to speak of."""
USABLE = 0.9
"""Of a GPU's free memory; the rest is for what the account leaves out: the allocator's slack, single operations. An
update of a 1.5B model took 6 % more than was reckoned (docs/performance.md)."""


@dataclass(frozen=True)
class Device:
    """Where a run is to be trained."""

    name: str
    bytes: int
    """What may be used, in whole GB so that the same card gives the same cut."""
    cuts: bool
    """Whether a run is cut to it."""


class Cut(NamedTuple):
    """The bounds of a run that fits."""

    token_budget: int
    sampling_rows: int


def here() -> Device:
    """The first GPU with what is free of it, or the main memory."""
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return Device(torch.cuda.get_device_name(), int(free * USABLE) // GB * GB, cuts=True)
    return Device("main memory", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // GB * GB, cuts=False)


def cut(spec: RunSpec, measured: Body, device: int, prompt: int | None = None) -> Cut | None:
    """The largest bounds, at most those of the specification, with which a run fits; None where none do."""
    budget, rows = (largest(spec, measured, device, prompt) for largest in (largest_budget, largest_rows))
    account = memory(spec, measured, prompt)
    if budget is None or rows is None or account.total("always") + account.total("stepping") > device:
        return None
    return Cut(min(budget, spec.token_budget), min(rows, spec.sampling_rows))


def remedies(spec: RunSpec, measured: Body, device: int, prompt: int | None = None) -> str:
    """What would make a run fit: settings one after the other, in the order of what they cost, or an adapter."""
    policy, grpo, said = spec.policy, spec.grpo, []
    recomputing = policy.model_copy(update={"gradient_checkpointing": True})
    eight_bit = grpo.model_copy(update={"optimizer": "adamw_8bit"})
    settings: tuple[tuple[str, bool, dict[str, Any]], ...] = (
        ("dtype bfloat16", spec.dtype != "bfloat16", {"dtype": "bfloat16"}),
        ("policy.gradient_checkpointing", not policy.gradient_checkpointing, {"policy": recomputing}),
        ("no measure_kl", spec.measure_kl and not grpo.kl and policy.lora is None, {"measure_kl": False}),
        ("grpo.optimizer adamw_8bit", grpo.optimizer == "adamw", {"grpo": eight_bit}),
    )
    for words, differs, update in settings:
        if differs:
            spec = spec.model_copy(update=update)
            said.append(words)
            if cut(spec, measured, device, prompt):
                return "it fits with " + ", ".join(said)
    tried = f"not with {', '.join(said)} either" if said else "no setting is left"
    return tried if policy.lora is not None else f"{tried}; an adapter takes less: policy.lora"


def plan(arm: Arm, device: Device | None = None) -> Mapping[str, Any] | None:
    """What the manifest keeps of a run's room on a device; None for small models on a CPU.

    Raises:
        SpecError: the run does not fit however it is cut; the message says what would help.
    """
    spec, device = arm.spec, device or here()
    if not device.cuts and _small(spec.model):
        return None
    config = _configuration(spec)
    if config is None:
        return None
    prompt = _longest(arm)
    measured = body(config, spec.policy.lora)
    found = cut(spec, measured, device.bytes, prompt)
    if found is None:
        account = memory(spec.model_copy(update={"token_budget": 1, "sampling_rows": 1}), measured, prompt)
        raise SpecError(
            f"model: {spec.model} takes at least {account.peak[1] / GB:.1f} GB while {account.peak[0]}, and of "
            f"{device.name} {device.bytes / GB:.0f} GB may be used; " + remedies(spec, measured, device.bytes, prompt)
        )
    taken = found if device.cuts else Cut(spec.token_budget, spec.sampling_rows)
    phase, peak = memory(spec.model_copy(update=taken._asdict()), measured, prompt).peak
    return {
        "device": device.name,
        "usable_bytes": device.bytes,
        "prompt_tokens": prompt,
        **taken._asdict(),
        "peak": {"phase": phase, "bytes": peak},
    }


def within(spec: RunSpec, planned: Mapping[str, Any] | None, recorded: Mapping[str, Any] | None) -> RunSpec:
    """The specification with the bounds that hold here: a run keeps the token budget that it began with."""
    if planned is None and recorded is None:
        return spec
    update = {"token_budget": (recorded or planned or {})["token_budget"]}
    if planned is not None:
        update["sampling_rows"] = planned["sampling_rows"]
    return spec.model_copy(update=update)


def in_words(planned: Mapping[str, Any]) -> str:
    """One line for people."""
    peak, usable = planned["peak"]["bytes"], planned["usable_bytes"]
    over = "; that may be too much, lower --token-budget or --sampling-rows" if peak > usable else ""
    return (
        f"memory: about {peak / GB:.1f} GB at most, while {planned['peak']['phase']}, of {usable / GB:.0f} GB of "
        f"{planned['device']}; {planned['token_budget']} tokens a pass, {planned['sampling_rows']} completions drawn "
        f"at once, prompts of up to {planned['prompt_tokens']} tokens{over}"
    )


def _small(source: str) -> bool:
    """Whether the weights files in a directory are those of a small model."""
    if base := adapter_base(source):
        return _small(base.model)
    path = Path(source)
    return path.is_dir() and sum(file.stat().st_size for file in path.glob("*.safetensors")) < 4 * SMALL


def _configuration(spec: RunSpec) -> Any:
    """What the model is built from; None where there is none to read: loading the model then says what is wrong."""
    if Path(spec.model).is_dir():
        return configuration(spec.model)
    try:
        return AutoConfig.from_pretrained(spec.model, revision=spec.revision, trust_remote_code=False)
    except (OSError, ValueError):
        return None


def _longest(arm: Arm) -> int:
    """Tokens of the longest prompt, of training and of every benchmark."""
    words = load_tokenizer(arm.spec.model, revision=arm.spec.revision)
    asked = [(asker(arm.spec.task, arm.task, words), arm.kept)]
    asked += [(asker(bench.task, task, words), tuple(task.problems)) for bench, task in arm.benches]
    return max(longest_prompt(ask, problems) for ask, problems in asked)
