"""Weights in shards, as FSDP2 keeps them, and what is needed of them whole.

Weights, gradients and moments lie in shards while TRL trains. Sampling, evaluation and checkpoints read a whole copy of
the weights, which every process has, and which is brought up to date when the updates of a rollout batch are taken.
Whatever puts shards together is asked for by every process at once.
"""

import copy
import os
from dataclasses import replace

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from spurious.errors import SpecError
from spurious.policy.model import Policy
from spurious.specs import RunSpec

_LAUNCHER = "ACCELERATE_USE_FSDP"
_UNCUT = (DistributedType.NO, DistributedType.MULTI_CPU)
"""Kinds of processes whose weights accelerate leaves whole, whatever it is asked for, without a word."""


def asked() -> bool:
    """Whether the launcher asks for weights in shards; every process then loads them whole, to sample from.

    Raises:
        SpecError: it asks for DeepSpeed or for FSDP's first version.
    """
    if _says("ACCELERATE_USE_DEEPSPEED"):
        raise SpecError(
            "engine: trl cannot train under DeepSpeed (ACCELERATE_USE_DEEPSPEED); launch with FSDP 2 or torchrun, or "
            "`spurious export` to verl or OpenRLHF"
        )
    if not _says(_LAUNCHER):
        return False
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise SpecError(f"engine: trl shards weights by FSDP 2 only ({_LAUNCHER} without FSDP_VERSION=2)")
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"  # all but one process would get empty weights
    return True


def _says(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("true", "1")


def check(spec: RunSpec, joined: PartialState) -> None:
    """Refuse what does not work on shards.

    Raises:
        SpecError: the field at fault, or processes whose weights would stay whole.
    """
    if joined.distributed_type in _UNCUT:
        raise SpecError(
            f"engine: trl was asked for shards ({_LAUNCHER}), and accelerate cuts weights on several GPUs only"
        )
    if spec.policy.lora is not None:
        raise SpecError("policy.lora: an adapter cannot be trained on weights in shards; launch with torchrun")
    if spec.grpo.optimizer == "adamw_8bit":
        raise SpecError("grpo.optimizer: adamw_8bit has no moments in shards; use adamw")


def whole_copy(policy: Policy) -> Policy:
    """The same policy with weights of its own, to be called before those of `policy` are cut."""
    return replace(policy, model=copy.deepcopy(policy.model).eval())


def keep_precision(accelerator: Accelerator) -> None:
    """Leave precision to autocast, as without shards: FSDP would compute with every weight rounded, norms' too."""
    accelerator.state.fsdp_plugin.mixed_precision_policy = None


@torch.no_grad()
def refresh(copied: nn.Module, trained: nn.Module) -> None:
    """Bring a whole copy up to date with a model in shards."""
    for mine, parts in zip(copied.parameters(), trained.parameters(), strict=True):
        mine.copy_(whole(parts))


def take_part(optimizer: Optimizer) -> None:
    """Give the main process this one's shards of the optimizer's state; a whole one is kept nowhere else."""
    for entries in optimizer.state.values():
        for value in entries.values():
            if isinstance(value, DTensor):
                value.full_tensor()


def cut(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """A tensor of a parameter's shape cut as the parameter is; any other, or where there are no shards, as it is."""
    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)


def whole(value: Tensor) -> Tensor:
    """A tensor put together from its shards; any other as it is."""
    return value.full_tensor() if isinstance(value, DTensor) else value
