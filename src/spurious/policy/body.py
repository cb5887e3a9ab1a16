"""A model without its weights: built from a configuration on torch's meta device, to count what it would take."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from spurious.errors import CheckpointError, SpecError
from spurious.policy.known import known_model
from spurious.policy.lora import adapters, attach
from spurious.specs import LoraSpec
from spurious.store.adapter import AdapterBase, adapter_base

DTYPES = ("float32", "bfloat16")
_LENGTH = 8
"""Tokens of a row in the trial pass; short, as a mask that only the trial keeps grows with the square of it."""


@dataclass(frozen=True)
class Body:
    """The sizes that memory depends on."""

    parameters: int
    """Of the model, an adapter apart."""
    trained: tuple[int, ...]
    """Elements of each tensor that is trained: the model's, or those of an adapter."""
    linear: int
    """Parameters of linear layers, output embedding apart: what autocast copies."""
    vocabulary: int
    width: int
    mlp: int
    """Width of the feed-forward layers."""
    layers: int
    positions: int
    """Prompt and completion tokens that the model may hold."""
    saved: dict[str, int]
    """By dtype of the pass: bytes that autograd keeps for one token between forward and backward, in passes with a
    mask, where keys and values are repeated for every query head; a pass without one keeps up to 5 % less."""
    recomputed: dict[str, int]
    """The same where each layer keeps only its input and one at a time is computed again."""
    cached: dict[str, int]
    """By dtype of the pass: bytes of one token in the key/value cache."""


def configuration(source: str) -> Any:
    """The configuration of a model directory or of a hub id of the table of known models; nothing is downloaded.

    Raises:
        CheckpointError: the directory has no readable config.json.
        SpecError: neither a directory nor in the table.
    """
    if base := adapter_base(source):
        return configuration(base.model)
    if Path(source).is_dir():
        try:
            return AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RecursionError) as error:
            raise CheckpointError(f"{source}: config.json cannot be read: {str(error).splitlines()[0]}") from error
    known = known_model(source)
    if known is None:
        raise SpecError(
            f"model: no configuration of {source!r} is at hand; give a directory with its config.json, or a model of "
            "spurious.policy.known"
        )
    return AutoConfig.for_model(**known.config)


def weightless(config: Any) -> Any:
    """The model of a configuration on the meta device: every shape, and no weight."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def body(config: Any, lora: LoraSpec | None = None) -> Body:
    """Build a model without weights, with an adapter if one is to be trained, and measure it.

    An adapter keeps what the frozen layers beside it no longer keep, their inputs, and for each module its rank more.

    Raises:
        SpecError: the adapter cannot be made; see `spurious.policy.lora.attach`.
    """
    model = weightless(config)
    text = config.get_text_config()
    head = model.get_output_embeddings()
    linear = [module for module in model.modules() if isinstance(module, nn.Linear) and module is not head]
    copied = sum(parameter.numel() for module in linear for parameter in module.parameters())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    layers, width = int(text.num_hidden_layers), int(text.hidden_size)
    saved = {dtype: _per_token(config, dtype, _saved) for dtype in DTYPES}
    cached = {dtype: _per_token(config, dtype, _cached) for dtype in DTYPES}
    ranks = 0
    if lora is not None:
        with torch.device("meta"):
            attach(model, lora, AdapterBase("", None), seed=0)
        ranks = lora.r * len(adapters(model)) * torch.float32.itemsize
    return Body(
        parameters=parameters,
        trained=tuple(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        linear=copied,
        vocabulary=int(text.vocab_size),
        width=width,
        mlp=int(text.intermediate_size),
        layers=layers,
        positions=int(text.max_position_embeddings),
        saved={dtype: round(once + layer * layers) + ranks for dtype, (once, layer) in saved.items()},
        recomputed={
            dtype: round(once + layer + layers * width * torch.float32.itemsize) + ranks // layers
            for dtype, (once, layer) in saved.items()
        },
        cached={dtype: round(once + layer * layers) for dtype, (once, layer) in cached.items()},
    )


def _per_token(config: Any, dtype: str, bytes_of: Callable[[Any, Tensor], int]) -> tuple[float, float]:
    """Bytes for one token of the decoder's pass, once and for each layer: the slope in two depths and batch sizes."""
    with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
        totals = []
        for depth in (1, 2):
            model = AutoModelForCausalLM.from_config(_cut(config, depth), dtype=torch.float32)
            few, many = (bytes_of(model, torch.zeros(rows, _LENGTH, dtype=torch.long)) for rows in (2, 4))
            totals.append((many - few) / (2 * _LENGTH))
    return 2 * totals[0] - totals[1], totals[1] - totals[0]


def _cut(config: Any, layers: int) -> Any:
    fields = config.to_dict() | {"num_hidden_layers": layers}
    if fields.get("layer_types"):
        fields["layer_types"] = fields["layer_types"][:layers]
    return type(config).from_dict(fields)


def _saved(model: Any, ids: Tensor) -> int:
    return saved_bytes(lambda: model.get_decoder()(input_ids=ids, use_cache=False), model)


def _cached(model: Any, ids: Tensor) -> int:
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
    return cache_bytes(cache)


def cache_bytes(cache: Any) -> int:
    """Bytes of the keys and values in a cache."""
    return sum(int(tensor.nbytes) for layer in cache.layers for tensor in (layer.keys, layer.values))


def saved_bytes(forward: Callable[[], Any], model: nn.Module) -> int:
    """Bytes that autograd keeps after a forward pass; storage that several tensors share counts once, weights not."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = forward()
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    total = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)
    del output
    return total
