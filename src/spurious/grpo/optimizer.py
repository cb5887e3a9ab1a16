"""The optimizer, its learning rate, its state on disk, and what it does when there is nothing to learn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from spurious.errors import CheckpointError, SpecError
from spurious.specs import GrpoSpec

BLOCK = 256
"""Elements that share a scale in 8-bit moments."""
SMALLEST_8BIT = 4096
"""Tensors of fewer elements keep moments of 32 bits."""
_PER_BLOCK = ("absmax", "qmap")
"""Entries of an 8-bit state that do not have their parameter's shape."""


def make_optimizer(parameters: Iterable[nn.Parameter], spec: GrpoSpec) -> Optimizer:
    """AdamW or SGD as `spec` says, over the parameters that require a gradient.

    On the CPU the plain per-tensor loop is used, whose result does not depend on how many threads there are; on a GPU
    one kernel for many tensors.

    Raises:
        SpecError: 8-bit moments are asked for and bitsandbytes is not installed.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    on_gpu = all(parameter.is_cuda for parameter in trained)
    if spec.optimizer == "sgd":
        return SGD(trained, lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay, foreach=on_gpu)
    if spec.optimizer == "adamw_8bit":
        kind, more = eight_bit(), {"min_8bit_size": SMALLEST_8BIT}
    else:
        kind, more = AdamW, {"fused": True} if on_gpu else {"foreach": False}
    return kind(trained, lr=spec.lr, betas=spec.betas, eps=spec.adam_eps, weight_decay=spec.weight_decay, **more)


def eight_bit() -> Callable[..., Optimizer]:
    """AdamW whose moments are quantized by blocks (Dettmers et al. 2022).

    Raises:
        SpecError: bitsandbytes is not installed.
    """
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise SpecError(
            "grpo.optimizer: adamw_8bit needs bitsandbytes, which is not installed; pip install 'spurious[large]'"
        ) from error
    kind: Callable[..., Optimizer] = AdamW8bit
    return kind


def learning_rate(spec: GrpoSpec, update_index: int, total_updates: int) -> float:
    """The learning rate of one optimizer update, counted from 0 over the whole run of `total_updates`.

    Warm-up rises linearly, the first update at lr / warmup_updates. `linear` then falls so that the update after the
    last would have 0: no update is wasted on a rate of zero (the schedule of transformers).
    """
    if update_index < spec.warmup_updates:
        return spec.lr * (update_index + 1) / spec.warmup_updates
    if spec.schedule == "constant":
        return spec.lr
    return spec.lr * max(0, total_updates - update_index) / max(1, total_updates - spec.warmup_updates)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Use `rate` for every parameter from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def null_update(optimizer: Optimizer, mode: Literal["step", "skip"]) -> None:
    """An update in which no completion has signal, as `GrpoSpec.null_updates` says.

    `step` takes the step a zero gradient gives: from a fresh optimizer without weight decay nothing moves, but once
    AdamW has momentum the weights go on moving, as in the peers. `skip` changes neither weights nor optimizer state.
    """
    if mode == "skip":
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def state_tensors(optimizer: Optimizer, whole: Callable[[Tensor], Tensor] = torch.detach) -> dict[str, Tensor]:
    """The optimizer's state as `{"<parameter index>.<name>": tensor}`, the form safetensors can hold bit by bit.

    `whole` puts together what lies in shards.
    """
    places: dict[Tensor, int] = {parameter: i for i, parameter in enumerate(_parameters(optimizer))}
    return {
        f"{places[parameter]}.{name}": _stored(whole(value) if torch.is_tensor(value) else value)
        for parameter, entries in optimizer.state.items()
        for name, value in entries.items()
        if value is not None
    }


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _stored(value: Tensor | int) -> Tensor:
    """A tensor of its own: those of bitsandbytes share their tables, and it counts steps in plain numbers."""
    if isinstance(value, int):
        return torch.tensor(value)
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def state_groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The optimizer's parameter groups (hyperparameters and parameter indices), fit for JSON.

    Without `initial_lr`, which a scheduler of torch leaves there and makes again.
    """
    groups = optimizer.state_dict()["param_groups"]
    return [{name: value for name, value in group.items() if name != "initial_lr"} for group in groups]


def load_state(
    optimizer: Optimizer,
    tensors: Mapping[str, Tensor],
    groups: Sequence[Mapping[str, Any]],
    cut: Callable[[Tensor, nn.Parameter], Tensor] = lambda value, _: value,
) -> None:
    """Bring back what `state_tensors` and `state_groups` (through JSON or not) gave; the next step is bit-identical.

    `cut` takes a tensor that belongs to a parameter apart, where the parameter lies in shards.
    Raises `CheckpointError` where the state does not belong to this optimizer's parameters.
    """
    current = optimizer.state_dict()["param_groups"]
    if [(group.keys(), group.get("params")) for group in groups] != [(g.keys(), g["params"]) for g in current]:
        raise CheckpointError("the optimizer state belongs to another kind of optimizer or number of parameters")
    parameters = _parameters(optimizer)
    state: dict[int, dict[str, Tensor | int]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters) or not name:
            raise CheckpointError(f"the optimizer state has an entry {key!r} of no parameter")
        parameter = parameters[int(index)]
        if value.dim() and value.shape != parameter.shape and not name.startswith(_PER_BLOCK):
            raise CheckpointError(
                f"the optimizer state's {key!r} has shape {tuple(value.shape)}, "
                f"its parameter has {tuple(parameter.shape)}"
            )
        counts = not value.dim() and not value.is_floating_point()
        state.setdefault(int(index), {})[name] = int(value) if counts else cut(value.clone(), parameter)
    optimizer.load_state_dict({"state": state, "param_groups": [_from_json(group) for group in groups]})


def _from_json(group: Mapping[str, Any]) -> dict[str, Any]:
    return {**group, "betas": tuple(group["betas"])} if "betas" in group else dict(group)
