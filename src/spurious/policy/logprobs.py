"""Log-probabilities of completion tokens under a policy: what training differentiates.

Only completion positions reach the output embedding. Rows that repeat a long prompt share its computation through the
key/value cache; other rows are padded on the right, where causal attention makes any mask superfluous.
"""

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from spurious.policy.recompute import recomputed
from spurious.policy.vocabulary import TokenLogprobs, logprobs_of_hidden, logprobs_of_logits

SHARED_PROMPT = 64
"""Prompts of at least this many tokens are computed once for their completions; below, padding is as fast."""


@dataclass(frozen=True, slots=True)
class Row:
    """One completion with the prompt it continues."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]


class _Traits(NamedTuple):
    """What a model allows."""

    factored: bool
    """Logits are exactly the output embedding applied to the decoder's last hidden state: no scaling, no capping."""
    shares: bool
    """A prompt's cache can be repeated for its completions."""
    keeps: bool
    """The forward pass takes `logits_to_keep`."""


_TRAITS: WeakKeyDictionary[Any, _Traits] = WeakKeyDictionary()


def micro_batches(rows: Sequence[Row], token_budget: int, *, share_prompts: bool = False) -> list[list[int]]:
    """Split rows into batches whose computed tokens, padding included, stay within a budget.

    Rows of like length go together (completions of one long prompt too, with `share_prompts`), so little is padding.
    The result depends on nothing but the arguments. A single row above the budget is a batch of its own.

    Args:
        rows: The rows to split.
        token_budget: Tokens of one forward and backward pass.
        share_prompts: Whether the model shares long prompts, as `shares_prompts` says.

    Returns:
        Indices into `rows`, every one exactly once.
    """
    repeats = Counter(row.prompt_ids for row in rows)

    def neighborhood(i: int) -> tuple[int, tuple[int, ...], int, int]:
        row = rows[i]
        total = len(row.prompt_ids) + len(row.completion_ids)
        if share_prompts and len(row.prompt_ids) >= SHARED_PROMPT and repeats[row.prompt_ids] > 1:
            return len(row.prompt_ids), row.prompt_ids, total, i
        return 0, (), total, i

    batches: list[list[int]] = []
    size = _Size()
    for i in sorted(range(len(rows)), key=neighborhood):
        larger = size.with_row(rows[i])
        if batches and larger.cost(share_prompts) <= token_budget:
            batches[-1].append(i)
            size = larger
        else:
            batches.append([i])
            size = _Size().with_row(rows[i])
    return batches


def even_budget(rows: Sequence[Row], parts: int, *, share_prompts: bool = False) -> int:
    """The smallest token budget that cuts rows into no more than `parts` batches: they cost about the same then."""
    low, high = 1, max(1, sum(len(row.prompt_ids) + len(row.completion_ids) for row in rows))
    while len(micro_batches(rows, high, share_prompts=share_prompts)) > parts:
        high *= 2  # padding
    while low < high:
        middle = (low + high) // 2
        if len(micro_batches(rows, middle, share_prompts=share_prompts)) <= parts:
            high = middle
        else:
            low = middle + 1
    return high


def shares_prompts(model: Any) -> bool:
    """Whether rows that repeat a long prompt share its computation in this model."""
    return _traits(model).shares


def completion_logprobs(
    model: Any,
    rows: Sequence[Row],
    *,
    pad_id: int,
    temperature: float = 1.0,
    with_entropy: bool = False,
    recompute: bool = False,
) -> TokenLogprobs:
    """Log-probabilities of every completion token under softmax(logits / temperature). Differentiable.

    Args:
        model: A Hugging Face causal language model.
        rows: B rows with N completion tokens in all; every prompt has at least one token.
        pad_id: Any valid token id.
        temperature: The sampling temperature of the completions.
        with_entropy: Also return the entropy of each token's distribution.
        recompute: Keep only each layer's input for the backward pass (`spurious.policy.recompute`); no prompt is
            shared then, as a layer that runs twice would write its cache twice.

    Returns:
        Log-probabilities (N,), the rows' completions one after the other, and entropies (N,) or null.

    Raises:
        ValueError: A temperature that is not above zero (greedy decoding has no log-probability to train on), or an
            empty prompt.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: log-probabilities need a temperature above zero")
    if any(not row.prompt_ids for row in rows):
        raise ValueError("a prompt without a token: the first completion token has nothing to condition on")
    traits = _traits(model)
    device = next(model.parameters()).device
    targets = torch.tensor([i for row in rows for i in row.completion_ids], dtype=torch.long, device=device)
    if recompute:
        with recomputed(model):
            features = _padded(model, rows, pad_id, device, traits)
    elif traits.shares and _size(rows).shares:
        features = _shared(model, rows, pad_id, device)
    else:
        features = _padded(model, rows, pad_id, device, traits)
    if not traits.factored:
        return logprobs_of_logits(features, targets, temperature=temperature, with_entropy=with_entropy)
    head = model.get_output_embeddings()
    return logprobs_of_hidden(
        features, head.weight, head.bias, targets, temperature=temperature, with_entropy=with_entropy
    )


class _Size(NamedTuple):
    """The shape of a batch, from which its cost in computed tokens follows."""

    rows: int = 0
    longest: int = 0
    prompt: int = 0
    completion: int = 0
    prompts: frozenset[tuple[int, ...]] = frozenset()

    def with_row(self, row: Row) -> "_Size":
        return _Size(
            self.rows + 1,
            max(self.longest, len(row.prompt_ids) + len(row.completion_ids)),
            max(self.prompt, len(row.prompt_ids)),
            max(self.completion, len(row.completion_ids)),
            self.prompts if row.prompt_ids in self.prompts else self.prompts | {row.prompt_ids},
        )

    @property
    def shared_cost(self) -> int:
        return len(self.prompts) * self.prompt + self.rows * self.completion

    @property
    def padded_cost(self) -> int:
        return self.rows * self.longest

    @property
    def shares(self) -> bool:
        """Whether computing each prompt once is worth the second pass."""
        return self.prompt >= SHARED_PROMPT and 3 * self.shared_cost <= 2 * self.padded_cost

    def cost(self, share_prompts: bool) -> int:
        return self.shared_cost if share_prompts and self.shares else self.padded_cost


def _size(rows: Sequence[Row]) -> _Size:
    size = _Size()
    for row in rows:
        size = size.with_row(row)
    return size


def _padded(model: Any, rows: Sequence[Row], pad_id: int, device: torch.device, traits: _Traits) -> Tensor:
    """Hidden states, or logits where the model is not factored, before each completion token: (N, features)."""
    ids = _right_padded([row.prompt_ids + row.completion_ids[:-1] for row in rows], pad_id, device)
    first = min(len(row.prompt_ids) for row in rows) - 1
    keep = ids.shape[1] - first
    if traits.factored:
        features = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[:, first:]
    elif traits.keeps:
        features = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits
    else:
        features = model(input_ids=ids, use_cache=False).logits[:, first:]
    return _take(features, [(i, len(row.prompt_ids) - 1 - first, row) for i, row in enumerate(rows)])


def _shared(model: Any, rows: Sequence[Row], pad_id: int, device: torch.device) -> Tensor:
    """The same, each distinct prompt computed once: its cache is repeated for its completions. Gradients flow through.

    Repetition is by `expand`, never by repeated indices, whose backward adds up in a race (a different sum each run).
    """
    prompts = list(dict.fromkeys(row.prompt_ids for row in rows))
    members = [[i for i, row in enumerate(rows) if row.prompt_ids == prompt] for prompt in prompts]
    order = [i for member in members for i in member]
    decoder = model.get_decoder()
    cache = DynamicCache(config=model.config)
    ids = _right_padded(prompts, pad_id, device)
    hidden = decoder(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state
    features = _repeat(torch.stack([hidden[u, len(p) - 1] for u, p in enumerate(prompts)]), members)[:, None]
    completions = _right_padded([rows[i].completion_ids[:-1] for i in order], pad_id, device)
    if completions.shape[1]:
        for layer in cache.layers:
            layer.keys, layer.values = _repeat(layer.keys, members), _repeat(layer.values, members)
        lengths = torch.tensor([len(rows[i].prompt_ids) for i in order], device=device)[:, None]
        steps = torch.arange(completions.shape[1], device=device)
        real = torch.arange(ids.shape[1], device=device) < lengths
        rest = decoder(
            input_ids=completions,
            attention_mask=torch.cat([real, torch.ones_like(completions, dtype=torch.bool)], 1).long(),
            position_ids=lengths + steps,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        features = torch.cat([features, rest], 1)
    rank = {i: r for r, i in enumerate(order)}
    return _take(features, [(rank[i], 0, row) for i, row in enumerate(rows)])


def _repeat(values: Tensor, members: list[list[int]]) -> Tensor:
    """Repeat the u-th entry of the first axis once for each of its members."""
    return torch.cat([values[u : u + 1].expand(len(m), *values.shape[1:]) for u, m in enumerate(members)])


def _take(features: Tensor, spans: list[tuple[int, int, Row]]) -> Tensor:
    """(B, S, F) -> (N, F): from each (batch row, first position), one position a completion token; no index twice."""
    width = features.shape[1]
    index = [b * width + start + t for b, start, row in spans for t in range(len(row.completion_ids))]
    flat = features.reshape(-1, features.shape[-1])
    return flat.index_select(0, torch.tensor(index, dtype=torch.long, device=features.device))


def _right_padded(sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> Tensor:
    width = max(len(ids) for ids in sequences)
    return torch.tensor([[*ids, *[pad_id] * (width - len(ids))] for ids in sequences], dtype=torch.long, device=device)


def _traits(model: Any) -> _Traits:
    """Find out, once for each model, what it allows."""
    if model not in _TRAITS:
        parameters = inspect.signature(type(model).forward).parameters
        factored = _factored(model)
        plain_cache = all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
        _TRAITS[model] = _Traits(
            factored=factored,
            shares=factored and plain_cache and "position_ids" in parameters,
            keeps="logits_to_keep" in parameters,
        )
    return _TRAITS[model]


@torch.no_grad()
def _factored(model: Any) -> bool:
    """Compare both ways to the logits, bit for bit: scaling (Cohere, Granite) and soft-capping (Gemma) show up."""
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear:
        return False
    ids = torch.tensor([[1, 2, 3]], device=head.weight.device)
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
    return torch.equal(head(hidden), model(input_ids=ids, use_cache=False).logits)
