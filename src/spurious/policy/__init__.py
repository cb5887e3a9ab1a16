"""Weights, log-probabilities and samplers.

Importing this package does not import torch; its names load their module on first use, so that a process can be
prepared (`spurious.policy.process`) before torch starts.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spurious.policy.protocol import Sampler

if TYPE_CHECKING:
    from spurious.policy.logprobs import Row, completion_logprobs, micro_batches, shares_prompts
    from spurious.policy.model import Policy, chat_renderer, encode, frozen_copy, load, prompt_ids, save
    from spurious.policy.process import prepare_process
    from spurious.policy.sampler import TorchSampler
    from spurious.policy.server import ServerSampler
    from spurious.policy.vocabulary import TokenLogprobs

__all__ = [
    "Policy",
    "Row",
    "Sampler",
    "ServerSampler",
    "TokenLogprobs",
    "TorchSampler",
    "chat_renderer",
    "completion_logprobs",
    "encode",
    "frozen_copy",
    "load",
    "micro_batches",
    "prepare_process",
    "prompt_ids",
    "save",
    "shares_prompts",
]

_MODULES = {
    "logprobs": ("Row", "completion_logprobs", "micro_batches", "shares_prompts"),
    "model": ("Policy", "chat_renderer", "encode", "frozen_copy", "load", "prompt_ids", "save"),
    "process": ("prepare_process",),
    "sampler": ("TorchSampler",),
    "server": ("ServerSampler",),
    "vocabulary": ("TokenLogprobs",),
}


def __getattr__(name: str) -> Any:
    """Load the module that defines the name."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
