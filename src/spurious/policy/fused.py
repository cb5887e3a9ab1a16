"""Llama-like models read on in a third of the operations.

At a width of a hundred, what surrounds the matrix products of a decoding step takes longer than they do. Here the three
projections of attention are one product, those of the gate another, and the cache is a buffer that is written in place.
On a CPU a model is decoded this way only if it is small, as the second copy of its weights costs, and was seen to give
the bits of its own forward pass; on a GPU if it was seen to give its numbers.
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
AGREEMENT = 1e-3
"""Largest difference of logits in float32 on a GPU, whose products round differently when put together."""


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
    cached: torch.dtype | None
    """Of keys and values; null keeps them as the model gives them."""


class FusedDecoding:
    """What `ModelDecoding` is, for the models of this module."""

    fullest = 1.0
    branches = True

    def __init__(self, weights: Fused, read: ModelDecoding, most: int) -> None:
        """Go on from prompts that the model itself has read, whose cache this takes over, with room for `most` rows."""
        self.weights, self.lengths, self.width = weights, read.lengths, read.width
        self.bias = torch.zeros(read.mask.shape, device=read.mask.device).masked_fill_(read.mask == 0, -torch.inf)
        """(B, width + room), added to attention scores."""
        room = read.mask.shape[1] - read.width
        self.keys: list[Tensor] = []
        """A layer each: (most, groups, width + room, d), of which the first B are in use."""
        self.values: list[Tensor] = []
        """As `keys`."""
        for layer in read.cache.layers:
            for buffers, tensor in ((self.keys, layer.keys), (self.values, layer.values)):
                rows, groups, width, size = tensor.shape
                buffer = tensor.new_zeros(most, groups, width + room, size, dtype=weights.cached or tensor.dtype)
                buffer[:rows, :, :width] = tensor
                buffers.append(buffer)
            layer.keys = layer.values = None  # a layer at a time, so that the cache is not held twice

    def select(self, index: Tensor) -> None:
        """Keep, or repeat, these rows; only those are copied that come to lie where they were not."""
        places = torch.arange(len(index), device=index.device)
        to = ((index != places) | (places >= len(self.lengths))).nonzero()[:, 0]
        for buffer in (*self.keys, *self.values):
            written = buffer[:, :, : self.width]
            written[to] = written[index[to]]
        self.bias, self.lengths = self.bias[index], self.lengths[index]

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token a row, (B,), and return the logits of the next, (B, V)."""
        self.width += 1
        logits = self._read(tokens, self.bias[:, : self.width])
        self.lengths = self.lengths + 1
        return logits

    def _read(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """One forward pass; `bias` is (B, places attended to)."""
        w = self.weights
        angles = self.lengths[:, None].float() * w.frequencies
        angles = torch.cat([angles, angles], -1)[:, None]
        turn = angles.cos(), angles.sin()
        hidden = functional.embedding(tokens, w.embedding)
        for i, layer in enumerate(w.layers):
            read = layer.before_attention(hidden) if layer.before_attention else hidden
            attended = layer.out(self._attention(i, layer, read, turn, bias))
            hidden = hidden + (layer.after_attention(attended) if layer.after_attention else attended)
            read = layer.before_mlp(hidden) if layer.before_mlp else hidden
            gate, up = layer.gate_up(read).chunk(2, -1)
            moved = layer.down(functional.silu(gate) * up)
            hidden = hidden + (layer.after_mlp(moved) if layer.after_mlp else moved)
        return w.head(w.norm(hidden))

    def _attention(self, i: int, layer: _Layer, read: Tensor, turn: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        w, rows, places = self.weights, len(read), bias.shape[1]
        size = layer.attend.weight.shape[0] // (w.heads + 2 * w.groups)
        queries, keys, values = layer.attend(read).split([w.heads * size, w.groups * size, w.groups * size], -1)
        queries = layer.queries(queries) if layer.queries else queries
        keys = layer.keys(keys) if layer.keys else keys
        queries = _turned(queries.view(rows, w.heads, size), *turn).view(rows, w.groups, -1, size)
        self._keep(self.keys[i], _turned(keys.view(rows, w.groups, size), *turn))
        self._keep(self.values[i], values.view(rows, w.groups, size))
        return functional.scaled_dot_product_attention(
            queries,
            self.keys[i][:rows, :, :places],
            self.values[i][:rows, :, :places],
            attn_mask=bias[:, None, None],
            scale=w.scale,
        ).reshape(rows, -1)

    def _keep(self, buffer: Tensor, new: Tensor) -> None:
        """Write what the token read adds to a cache, (B, groups, d)."""
        buffer[: len(new), :, self.width - 1] = new


@torch.inference_mode()
def fusible(model: Any) -> bool:
    """Whether a model's decoding steps can be fused: it is of a known family, on a CPU small, and both ways agree on a
    few tokens, on a CPU bit for bit.
    """
    config = model.config
    known = (
        config.model_type in FAMILIES
        and (model.device.type == "cuda" or model.num_parameters() <= LARGEST)
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
    fused = FusedDecoding(fuse(model), other, len(ids))
    limit = AGREEMENT if model.device.type == "cuda" else 0.0
    return all(bool(((plain.step(tokens) - fused.step(tokens)).abs() <= limit).all()) for tokens in ids.T[:2])


def fuse(model: Any, dtype: torch.dtype | None = None) -> Fused:
    """Lay out the current weights of a `fusible` model; what is put together, or of another dtype, is copied.

    `dtype`: of products and of the cache, as autocast would have it; null leaves them as they are.
    """
    decoder = model.base_model
    attention = decoder.layers[0].self_attn
    return Fused(
        layers=tuple(_layer(layer, dtype) for layer in decoder.layers),
        embedding=decoder.embed_tokens.weight.detach(),
        norm=_norm(decoder, "norm"),
        head=_product(dtype, model.get_output_embeddings()),
        frequencies=decoder.rotary_emb.inv_freq,
        heads=model.config.num_attention_heads,
        groups=model.config.num_key_value_heads,
        scale=attention.scaling,
        cached=dtype,
    )


def _layer(layer: Any, dtype: torch.dtype | None) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    after = hasattr(layer, "post_feedforward_layernorm")  # OLMo2 norms what a block gives, the others what it takes
    return _Layer(
        attend=_product(dtype, attention.q_proj, attention.k_proj, attention.v_proj),
        out=_product(dtype, attention.o_proj),
        gate_up=_product(dtype, mlp.gate_proj, mlp.up_proj),
        down=_product(dtype, mlp.down_proj),
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


def _product(dtype: torch.dtype | None, *modules: Any) -> _Product:
    """Several products of the same values as one."""
    weights: Sequence[Tensor] = [module.weight.detach().to(dtype or module.weight.dtype) for module in modules]
    biases = [module.bias.detach().to(dtype or module.bias.dtype) for module in modules if module.bias is not None]
    if len(modules) == 1:
        return _Product(weights[0], biases[0] if biases else None)
    return _Product(torch.cat(list(weights)), torch.cat(biases) if biases else None)


def _turned(values: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary embedding of (B, heads, d)."""
    half = values.shape[-1] // 2
    return values * cosines + torch.cat([-values[..., half:], values[..., :half]], -1) * sines
