"""Training a low-rank adapter instead of the weights, through PEFT."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from spurious.errors import SpecError, StoreError
from spurious.policy.model import Policy, save

ADAPTER = "adapter.safetensors"
"""The adapter alone, to go on from; the model beside it has it merged, so that any tool can open the checkpoint."""


def lora_config(arguments: Mapping[str, Any]) -> Any:
    """A `peft.LoraConfig` of these arguments.

    Raises:
        SpecError: PEFT is not installed, or does not know an argument.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise SpecError("trl.lora: peft is not installed; pip install 'spurious[trl]'") from error
    try:
        return LoraConfig(**{"task_type": "CAUSAL_LM", **arguments})
    except (TypeError, ValueError) as error:
        raise SpecError(f"trl.lora: {error}") from error


def save_merged(adapted: Any, policy: Policy, directory: Path) -> None:
    """Write the policy with its adapter merged, and the adapter beside it."""
    from peft import get_peft_model_state_dict

    save(replace(policy, model=copy.deepcopy(adapted).merge_and_unload()), directory)
    tensors = {name: value.contiguous() for name, value in get_peft_model_state_dict(adapted).items()}
    save_file(tensors, directory / ADAPTER)


def restore_adapter(adapted: Any, checkpoint: Path) -> None:
    """Bring back the adapter that `save_merged` wrote.

    Raises:
        StoreError: it is missing, unreadable or another model's.
    """
    from peft import set_peft_model_state_dict

    try:
        loaded = set_peft_model_state_dict(adapted, load_file(checkpoint / ADAPTER))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StoreError(f"{checkpoint / ADAPTER}: the adapter is unreadable: {error}") from error
    if loaded.unexpected_keys:
        raise StoreError(f"{checkpoint / ADAPTER}: belongs to another model ({loaded.unexpected_keys[0]!r})")
