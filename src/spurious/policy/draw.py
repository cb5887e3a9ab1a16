"""One token a completion, from its logits and its uniform: the inverse of the cumulative distribution, in double.

Every operation works on a row by itself or is exact in IEEE arithmetic, so that a row's token does not depend on its
neighbors: element-wise `exp` over the whole matrix would not do, its last few elements take another code path.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK_ELEMENTS = 2**24
"""Doubles in one chunk of completions: what bounds memory for a large vocabulary."""


class Drawn(NamedTuple):
    """For B completions (B,): tokens, their log-probabilities, and if asked for entropy and self-certainty in nats."""

    tokens: Tensor
    logprobs: Tensor
    entropies: Tensor | None
    self_certainties: Tensor | None


def draw(
    logits: Tensor, uniforms: Tensor, owners: Tensor, *, temperature: float, top_p: float, confidence: bool
) -> Drawn:
    """Draw one token a completion.

    Log-probability, entropy and self-certainty are those of the whole tempered distribution softmax(logits /
    temperature), which is what training computes; a nucleus below 1 only restricts what can be drawn. Greedy decoding
    (temperature 0, the lowest id among equals) reports them at temperature 1.

    Args:
        logits: (R, V), a row for all completions that have written the same so far.
        uniforms: (B,) doubles in [0, 1).
        owners: (B,) the row of each completion.
        temperature: 0 is greedy.
        top_p: Keep the fewest most likely tokens whose probabilities reach this sum; among equals the lowest ids.
        confidence: Also return the entropy and KL(uniform || policy) (Kang et al. 2025).
    """
    chunks = -(-len(owners) * logits.shape[1] // CHUNK_ELEMENTS)
    if chunks <= 1:
        return _draw(logits, uniforms, owners, temperature, top_p, confidence)
    parts = []
    for some, of in zip(uniforms.tensor_split(chunks), owners.tensor_split(chunks), strict=True):
        rows, places = of.unique(return_inverse=True)
        parts.append(_draw(logits[rows], some, places, temperature, top_p, confidence))
    return _joined(parts)


def _draw(
    logits: Tensor, uniforms: Tensor, owners: Tensor, temperature: float, top_p: float, confidence: bool
) -> Drawn:
    scaled = logits.float() / temperature if temperature > 0 else logits.float()
    logprobs = scaled.log_softmax(-1)
    probabilities = scaled.double().softmax(-1) if temperature > 0 or confidence else None
    if temperature > 0:
        assert probabilities is not None
        tokens = _inverse(probabilities if top_p >= 1 else _nucleus(probabilities, top_p), uniforms, owners)
    else:
        tokens = scaled.argmax(-1)[owners]
    chosen = logprobs[owners, tokens]
    if not confidence:
        return Drawn(tokens, chosen, None, None)
    assert probabilities is not None
    entropies = -(probabilities * logprobs).sum(-1)
    certainties = -logprobs.double().mean(-1) - math.log(logits.shape[1])
    return Drawn(tokens, chosen, entropies[owners], certainties[owners])


def _joined(parts: Sequence[Drawn]) -> Drawn:
    entropies = [part.entropies for part in parts if part.entropies is not None]
    certainties = [part.self_certainties for part in parts if part.self_certainties is not None]
    return Drawn(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.logprobs for part in parts]),
        torch.cat(entropies) if entropies else None,
        torch.cat(certainties) if certainties else None,
    )


def _inverse(weights: Tensor, uniforms: Tensor, owners: Tensor) -> Tensor:
    """The first token whose cumulated weight exceeds uniform * total; one of weight zero is never it.

    Weights that are not numbers give some valid token, whose log-probability is then not a number either.
    """
    cumulated = _cumulated(weights)
    total = cumulated[:, -1:].contiguous()
    tokens = torch.searchsorted(cumulated[owners], uniforms[:, None] * total[owners], right=True)
    last = torch.searchsorted(cumulated, total)
    return torch.minimum(tokens, last[owners])[:, 0].clamp(max=weights.shape[1] - 1)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The probabilities with everything outside of the nucleus set to zero."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = _cumulated(ordered) - ordered
    return torch.zeros_like(probabilities).scatter(1, order, torch.where(before < top_p, ordered, 0.0))


def _cumulated(weights: Tensor) -> Tensor:
    """Sum along each row. On CUDA torch refuses this in deterministic mode, which only its one-row kernel deserves."""
    if not weights.is_cuda or len(weights) == 1:
        return weights.cumsum(-1)
    strict = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        return weights.cumsum(-1)
    finally:
        torch.use_deterministic_algorithms(strict)
