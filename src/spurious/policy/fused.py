"""Small Llama-like models read on in a third of the operations, and come to the same bits.

At a width of a hundred, what surrounds the matrix products of a decoding step takes longer than they do. Here the three
projections of attention are one product, those of the gate another, and the cache is a buffer that is written in place.
A model is decoded this way only if it was seen to give the bits of its own forward pass (`fused`); in a large one,
products are all that counts, and a second copy of the weights costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import DynamicLayer

from spurious.policy.decoding import ModelDecoding
from spurious.policy.lora import adapters
from spurious.policy.threads import LARGEST

FAMILIES = {"qwen2", "llama", "olmo2"}


class _Norm(NamedTuple):
    weight: Tensor
    eps: float

    def __call__(self, values: Tensor) -> Tensor:
        return functional.rms_norm(values, self.weight.shape, self.weight, self.eps)


class _Product(NamedTuple):
    weight: Tensor
    bias: Tensor | None

    def __call__(self, values: Tensor) -> Tensor:
        return functional.linear(values, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One decoder layer; norms that a family does not have are null."""

    attend: _Product
    """Queries, keys and values, one below the other."""
    out: _Product
    gate_up: _Product
    down: _Product
    before_attention: _Norm | None
    queries: _Norm | None
    keys: _Norm | None
    after_attention: _Norm | None
    before_mlp: _Norm | None
    after_mlp: _Norm | None


@dataclass(frozen=True, slots=True)
class Fused:
    """A model's current weights, laid out for decoding."""

    layers: tuple[_Layer, ...]
    embedding: Tensor
    norm: _Norm
    head: _Product
    frequencies: Tensor
    """(d / 2,) of the rotary embedding."""
    heads: int
    groups: int
    """Heads of keys and values."""
    scale: float
    """Of attention scores."""


class FusedDecoding:
    """What `ModelDecoding` is, for the models of this module."""

    def __init__(self, weights: Fused, read: ModelDecoding) -> None:
        """Go on from a prompt that the model itself has read."""
        self.weights, self.lengths, self.width = weights, read.lengths, read.width
        self.bias = torch.zeros(read.mask.shape, device=read.mask.device).masked_fill_(read.mask == 0, -torch.inf)
        """(B, width + room), added to attention scores."""
        room = read.mask.shape[1] - read.width
        self.keys, self.values = (
            [functional.pad(tensor, (0, 0, 0, room)) for tensor in tensors]
            for tensors in zip(*((layer.keys, layer.values) for layer in read.cache.layers), strict=True)
        )
        """A layer each: (B, groups, width + room, d)."""

    def select(self, index: Tensor) -> None:
        """Keep, or repeat, these rows."""
        self.keys, self.values = ([tensor[index] for tensor in each] for each in (self.keys, self.values))
        self.bias, self.lengths = self.bias[index], self.lengths[index]

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token a row, (B,), and return the logits of the next, (B, V)."""
        w = self.weights
        angles = self.lengths[:, None].float() * w.frequencies
        angles = torch.cat([angles, angles], -1)[:, None]
        turn = angles.cos(), angles.sin()
        self.lengths = self.lengths + 1
        self.width += 1
        hidden = functional.embedding(tokens, w.embedding)
        for i, layer in enumerate(w.layers):
            read = layer.before_attention(hidden) if layer.before_attention else hidden
            attended = layer.out(self._attention(i, layer, read, turn))
            hidden = hidden + (layer.after_attention(attended) if layer.after_attention else attended)
            read = layer.before_mlp(hidden) if layer.before_mlp else hidden
            gate, up = layer.gate_up(read).chunk(2, -1)
            moved = layer.down(functional.silu(gate) * up)
            hidden = hidden + (layer.after_mlp(moved) if layer.after_mlp else moved)
        return w.head(w.norm(hidden))

    def _attention(self, i: int, layer: _Layer, read: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        w, rows = self.weights, len(read)
        size = layer.attend.weight.shape[0] // (w.heads + 2 * w.groups)
        queries, keys, values = layer.attend(read).split([w.heads * size, w.groups * size, w.groups * size], -1)
        queries = layer.queries(queries) if layer.queries else queries
        keys = layer.keys(keys) if layer.keys else keys
        queries = _turned(queries.view(rows, w.heads, size), *turn).view(rows, w.groups, -1, size)
        self.keys[i][:, :, self.width - 1] = _turned(keys.view(rows, w.groups, size), *turn)
        self.values[i][:, :, self.width - 1] = values.view(rows, w.groups, size)
        return functional.scaled_dot_product_attention(
            queries,
            self.keys[i][:, :, : self.width],
            self.values[i][:, :, : self.width],
            attn_mask=self.bias[:, None, None, : self.width],
            scale=w.scale,
        ).reshape(rows, -1)


@torch.inference_mode()
def fusible(model: Any) -> bool:
    """Whether a model's decoding steps can be fused: it is of a known family and small, and both ways agree bit for
    bit on a few tokens.
    """
    config = model.config
    known = (
        config.model_type in FAMILIES
        and model.num_parameters() <= LARGEST
        and model.dtype == torch.float32
        and config.hidden_act == "silu"
        and model.base_model.rotary_emb.attention_scaling == 1.0
    )
    if not known or adapters(model):
        return False
    with torch.autocast(model.device.type, enabled=False):
        return _agree(model)


def _agree(model: Any) -> bool:
    ids = torch.arange(12, device=model.device).view(4, 3) % model.config.vocab_size
    lengths = torch.tensor([1, 2, 2, 1], device=model.device)
    plain, other = (ModelDecoding(model, lengths, 3, 2) for _ in range(2))
    plain.read(ids)
    other.read(ids)
    if any(type(layer) is not DynamicLayer for layer in other.cache.layers):
        return False
    fused = FusedDecoding(fuse(model), other)
    return all(torch.equal(plain.step(tokens), fused.step(tokens)) for tokens in ids.T[:2])


def fuse(model: Any) -> Fused:
    """Lay out the current weights of a `fusible` model; what is put together is copied."""
    decoder = model.base_model
    attention = decoder.layers[0].self_attn
    return Fused(
        layers=tuple(_layer(layer) for layer in decoder.layers),
        embedding=decoder.embed_tokens.weight.detach(),
        norm=_norm(decoder, "norm"),
        head=_product(model.get_output_embeddings()),
        frequencies=decoder.rotary_emb.inv_freq,
        heads=model.config.num_attention_heads,
        groups=model.config.num_key_value_heads,
        scale=attention.scaling,
    )


def _layer(layer: Any) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    after = hasattr(layer, "post_feedforward_layernorm")  # OLMo2 norms what a block gives, the others what it takes
    return _Layer(
        attend=_product(attention.q_proj, attention.k_proj, attention.v_proj),
        out=_product(attention.o_proj),
        gate_up=_product(mlp.gate_proj, mlp.up_proj),
        down=_product(mlp.down_proj),
        before_attention=None if after else _norm(layer, "input_layernorm"),
        queries=_norm(attention, "q_norm") if after else None,
        keys=_norm(attention, "k_norm") if after else None,
        after_attention=_norm(layer, "post_attention_layernorm") if after else None,
        before_mlp=None if after else _norm(layer, "post_attention_layernorm"),
        after_mlp=_norm(layer, "post_feedforward_layernorm") if after else None,
    )


def _norm(module: Any, name: str) -> _Norm:
    norm = getattr(module, name)
    return _Norm(norm.weight.detach(), norm.variance_epsilon)


def _product(*modules: Any) -> _Product:
    """Several products of the same values as one."""
    weights: Sequence[Tensor] = [module.weight.detach() for module in modules]
    biases = [module.bias.detach() for module in modules if module.bias is not None]
    if len(modules) == 1:
        return _Product(weights[0], biases[0] if biases else None)
    return _Product(torch.cat(list(weights)), torch.cat(biases) if biases else None)


def _turned(values: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary embedding of (B, heads, d)."""
    half = values.shape[-1] // 2
    return values * cosines + torch.cat([-values[..., half:], values[..., :half]], -1) * sines
