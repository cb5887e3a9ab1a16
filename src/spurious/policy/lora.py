"""A low-rank adapter trained in the place of the weights (LoRA, Hu et al. 2021), through PEFT.

It lies inside the model, so one forward pass serves sampler and learner; with it switched off, the model is the one
it started from. Its checkpoint is PEFT's: the adapter, and in its configuration which model at which revision it
belongs to.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from spurious.errors import CheckpointError, SpecError, StoreError
from spurious.keys import key
from spurious.specs import LoraSpec
from spurious.store.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS, AdapterBase

_PREFIX = "base_model.model."
"""What PEFT's files put before the name of every tensor."""


def base_of(model: Any, source: str, revision: str | None) -> AdapterBase:
    """What an adapter of this model is an adapter of: the directory, or the hub id at the commit that was loaded."""
    if Path(source).is_dir():
        return AdapterBase(str(Path(source).resolve()), None)
    return AdapterBase(source, getattr(model.config, "_commit_hash", None) or revision)


def lora_config(spec: LoraSpec, base: AdapterBase) -> Any:
    """The `peft.LoraConfig` of a specification.

    Raises:
        SpecError: PEFT is not installed.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise SpecError("policy.lora: peft is not installed; pip install 'spurious[large]'") from error
    targets = "all-linear" if spec.target_modules == ("all-linear",) else list(spec.target_modules)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=spec.r,
        lora_alpha=spec.lora_alpha,
        use_rslora=spec.use_rslora,
        target_modules=targets,
        base_model_name_or_path=base.model,
        revision=base.revision,
    )


def attach(model: Any, spec: LoraSpec, base: AdapterBase, seed: int) -> None:
    """Put an adapter into a model and freeze all else; it starts as no change, from draws keyed by the seed.

    Args:
        model: A Hugging Face causal language model; changed in place.
        spec: The adapter.
        base: What the model is.
        seed: The run's seed.

    Raises:
        SpecError: PEFT is not installed, or the model has no such modules, or they are its vocabulary's.
    """
    config = lora_config(spec, base)
    vocabulary = (model.get_input_embeddings(), model.get_output_embeddings())
    for name in (name for name, module in model.named_modules() if any(module is part for part in vocabulary)):
        if any(name == target or name.endswith(f".{target}") for target in spec.target_modules):
            raise SpecError(
                f"policy.lora.target_modules: {name} is not adapted; input and output of the vocabulary may be one"
            )
    from peft import inject_adapter_in_model

    with torch.random.fork_rng(devices=[]):  # PEFT draws on the CPU, then moves
        torch.manual_seed(key(seed, "lora", "weights") >> 1)
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            raise SpecError(f"policy.lora.target_modules: {str(error).splitlines()[0]}") from error


def adapters(model: Any) -> list[Any]:
    """The modules of a model that hold an adapter beside their weights."""
    return [module for module in model.modules() if hasattr(module, "base_layer")]


@contextmanager
def switched_off(model: Any) -> Iterator[None]:
    """The model without its adapter, if it has any."""
    layers = adapters(model)
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def halve_frozen(model: Any) -> None:
    """Keep frozen linear layers in bfloat16, which is what autocast makes of them for every product anyway.

    Bits stay as they were, and half the memory. Not the output embedding, whose products are taken in float32.
    """
    head = model.get_output_embeddings()
    for module in model.modules():
        frozen = not any(weights.requires_grad for weights in module.parameters(recurse=False))
        if type(module) is nn.Linear and module is not head and frozen:
            module.to(torch.bfloat16)


def save_adapter(model: Any, directory: Path) -> None:
    """Write the adapter of a model in PEFT's format, the same bytes for the same adapter."""
    from peft import get_peft_model_state_dict

    directory.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"].to_dict()
    told = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    text = json.dumps({**told, "inference_mode": True}, indent=2, sort_keys=True)
    (directory / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    named = {f"{_PREFIX}{name}": value.contiguous() for name, value in tensors.items()}
    save_file(named, directory / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def restore_adapter(model: Any, checkpoint: Path) -> None:
    """Bring back into an adapted model what `save_adapter` wrote.

    Raises:
        StoreError: it is missing, unreadable or another model's.
    """
    from peft import set_peft_model_state_dict

    path = checkpoint / ADAPTER_WEIGHTS
    try:
        tensors = {name.removeprefix(_PREFIX): value for name, value in load_file(path).items()}
        loaded = set_peft_model_state_dict(model, tensors)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StoreError(f"{path}: the adapter is unreadable: {error}") from error
    if loaded.unexpected_keys:
        raise StoreError(f"{path}: belongs to another model ({loaded.unexpected_keys[0]!r})")


def merged(model: Any, directory: Path) -> Any:
    """A model with the adapter of a directory added to its weights.

    Raises:
        CheckpointError: PEFT is not installed, or the adapter is unreadable or another model's.
    """
    try:
        from peft import PeftConfig
        from peft.tuners.lora import LoraModel
    except ImportError as error:
        raise CheckpointError(
            f"{directory}: an adapter, and peft is not installed; pip install 'spurious[large]'"
        ) from error
    try:
        tuner = LoraModel(model, PeftConfig.from_pretrained(directory), "default")
        restore_adapter(model, directory)
    except (OSError, ValueError, KeyError, StoreError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CheckpointError(f"{directory}: the adapter cannot be loaded: {first}") from error
    return tuner.merge_and_unload()
