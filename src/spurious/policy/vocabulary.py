"""Log-probability and entropy of tokens, without a tensor of (tokens, vocabulary).

A vocabulary of 150,000 times 16,384 tokens is 10 GB of float32 logits, and autograd would keep several of them. Here
logits exist only for one chunk of tokens and one chunk of the vocabulary at a time: forward keeps an online
log-sum-exp (Milakov and Gimelshein 2018), backward computes each chunk again (as cut cross-entropy does, Wijmans et
al. 2025). Small vocabularies take the plain path, which the tests hold equal to the chunked one.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

PLAIN_VOCABULARY = 2048
"""Up to this size the whole vocabulary is one chunk, which is faster and still small."""
TOKEN_CHUNK = 1024
VOCABULARY_CHUNK = 8192


class TokenLogprobs(NamedTuple):
    """Of N tokens: log-probabilities (N,) and, if asked for, the entropies in nats of their distributions (N,)."""

    logprobs: Tensor
    entropies: Tensor | None


def logprobs_of_logits(logits: Tensor, targets: Tensor, *, temperature: float, with_entropy: bool) -> TokenLogprobs:
    """Log-probabilities under softmax(logits / temperature), in float32 or better.

    Args:
        logits: (N, V).
        targets: (N,) token ids.
        temperature: Above zero.
        with_entropy: Also return entropies.
    """
    everything = _tempered(logits, temperature).log_softmax(-1)
    logprobs = everything.gather(-1, targets[:, None])[:, 0]
    return TokenLogprobs(logprobs, -(everything.exp() * everything).sum(-1) if with_entropy else None)


def logprobs_of_hidden(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    *,
    temperature: float,
    with_entropy: bool,
) -> TokenLogprobs:
    """The same from the last hidden states, where logits = hidden @ weight.T + bias. Differentiable in all three.

    Args:
        hidden: (N, H).
        weight: (V, H), the output embedding.
        bias: (V,) or null.
        targets: (N,) token ids.
        temperature: Above zero.
        with_entropy: Also return entropies.
    """
    if weight.shape[0] <= PLAIN_VOCABULARY:
        logits = functional.linear(hidden, weight, bias)
        return logprobs_of_logits(logits, targets, temperature=temperature, with_entropy=with_entropy)
    with torch.autocast(hidden.device.type, enabled=False):
        logprobs, entropies = _Chunked.apply(hidden.to(weight.dtype), weight, bias, targets, temperature)
    return TokenLogprobs(logprobs, entropies if with_entropy else None)


class _Chunked(torch.autograd.Function):
    """(hidden, weight, bias, targets, temperature) -> (log-probabilities, entropies), in chunks."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        parts = [
            _online(hidden[tokens], weight, bias, targets[tokens], temperature)
            for tokens in _chunks(len(hidden), TOKEN_CHUNK)
        ]
        norm, logprobs, entropies = (torch.cat(part) for part in zip(*parts, strict=True))
        ctx.save_for_backward(hidden, weight, bias, targets, norm, entropies)
        ctx.temperature = temperature
        return logprobs, entropies

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_logprobs: Tensor, grad_entropies: Tensor) -> tuple[Tensor | None, ...]:
        """With z the scaled logits and p their softmax: d logp/dz = onehot - p; dH/dz = -p (log p + H)."""
        hidden, weight, bias, targets, norm, entropies = ctx.saved_tensors
        grad_hidden = torch.zeros_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        grad_bias = torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[2] else None
        for tokens in _chunks(len(hidden), TOKEN_CHUNK):
            for words in _chunks(len(weight), VOCABULARY_CHUNK):
                logp = _scaled(hidden[tokens], weight, bias, words, ctx.temperature) - norm[tokens, None]
                surprise = logp + entropies[tokens, None]
                grad = -logp.exp() * (grad_logprobs[tokens, None] + grad_entropies[tokens, None] * surprise)
                column, inside = _columns(targets[tokens], words)
                grad.scatter_add_(1, column[:, None], (grad_logprobs[tokens] * inside)[:, None])
                grad = (grad / ctx.temperature).to(weight.dtype)
                if grad_hidden is not None:
                    grad_hidden[tokens] += grad @ weight[words]
                if grad_weight is not None:
                    grad_weight[words] += grad.T @ hidden[tokens]
                if grad_bias is not None:
                    grad_bias[words] += grad.sum(0)
        return grad_hidden, grad_weight, grad_bias, None, None


def _online(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One pass over the vocabulary: log-sum-exp of z, log-probability of the target, entropy; each (N,).

    Sums are kept relative to the largest z so far, which is what keeps the entropy exact to float precision.
    """
    top = torch.full((len(hidden),), -torch.inf, device=hidden.device, dtype=_wide(hidden[:0]).dtype)
    total, weighted, picked = (torch.zeros_like(top) for _ in range(3))
    for words in _chunks(len(weight), VOCABULARY_CHUNK):
        z = _scaled(hidden, weight, bias, words, temperature)
        new_top = torch.maximum(top, z.amax(1))
        drop = (top - new_top).clamp(min=torch.finfo(top.dtype).min)
        above = z - new_top[:, None]
        e = above.exp()
        weighted = drop.exp() * (weighted + total * drop) + (e * above).sum(1)
        total = drop.exp() * total + e.sum(1)
        column, inside = _columns(targets, words)
        picked = torch.where(inside, z.gather(1, column[:, None])[:, 0], picked)
        top = new_top
    return top + total.log(), picked - top - total.log(), total.log() - weighted / total


def _scaled(hidden: Tensor, weight: Tensor, bias: Tensor | None, words: slice, temperature: float) -> Tensor:
    logits: Tensor = functional.linear(hidden, weight[words], None if bias is None else bias[words])
    return _tempered(logits, temperature)


def _columns(targets: Tensor, words: slice) -> tuple[Tensor, Tensor]:
    """Each target's column in this chunk, clamped to a valid one, and whether the target really is in this chunk."""
    column = targets - words.start
    size = words.stop - words.start
    return column.clamp(0, size - 1), (column >= 0) & (column < size)


def _tempered(logits: Tensor, temperature: float) -> Tensor:
    """In float32 or better; division by 1 changes no bit and reads and writes everything twice, back included."""
    return _wide(logits) if temperature == 1 else _wide(logits) / temperature


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def _chunks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
