"""Pretraining: next-token prediction on the completions of a corpus, or on whole texts, each text read once.

Deterministic: the same recipe gives the same bytes on one machine, torch build and number of threads.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from spurious.errors import NumericalError
from spurious.organisms.corpus import Text
from spurious.organisms.recipe import Training
from spurious.policy.process import keep_freed_memory
from spurious.progress import Progress, quiet

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """A text as token ids; the completion ends with the end token."""

    strategy: str
    prompt: list[int]
    completion: list[int]


def encode(texts: Sequence[Text], tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    """Token ids of prompts and completions, encoded apart, as a sampler will see them."""
    backend = tokenizer.backend_tokenizer
    prompts = backend.encode_batch([text.prompt for text in texts], add_special_tokens=False)
    completions = backend.encode_batch([text.completion for text in texts], add_special_tokens=False)
    return [
        Example(text.strategy, prompt.ids, [*completion.ids, tokenizer.eos_token_id])
        for text, prompt, completion in zip(texts, prompts, completions, strict=True)
    ]


def pretrain(
    model: PreTrainedModel, examples: Sequence[Example], training: Training, progress: Progress = quiet
) -> list[float]:
    """Train in place with AdamW; returns the loss of every update, in nats a token that is learned.

    Learned are the completions, with `training.prompts` also the prompts but for their first token.

    Raises NumericalError when the loss is no longer finite.
    """
    keep_freed_memory()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.lr, betas=(0.9, training.beta2), weight_decay=0.0, fused=True
    )
    losses = []
    model.train()
    with _deterministic():
        for update in range(training.taken):
            batch = examples[update * training.batch : (update + 1) * training.batch]
            loss = _accumulate(model, batch, prompts=training.prompts)
            if not math.isfinite(loss):
                raise NumericalError(f"pretraining: the loss is {loss} at update {update + 1}; lower training.lr")
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(update, training)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss)
            progress("pretrain", update + 1, training.taken, f"loss {loss:.3f}")
    return losses


def learning_rate(update: int, training: Training) -> float:
    """The rate of the update-th update, from 0: a linear rise over `warmup` updates, then a linear fall to zero."""
    if update < training.warmup:
        return training.lr * (update + 1) / training.warmup
    return training.lr * (training.updates - update) / (training.updates - training.warmup)


def _accumulate(model: PreTrainedModel, batch: Sequence[Example], *, prompts: bool) -> float:
    """Add the gradient of the batch's mean loss over learned tokens; returns that mean.

    The batch is computed strategy by strategy: texts of one strategy are nearly equally long, so little is padding.
    """
    tokens = sum(len(example.prompt) + len(example.completion) - _learned(example, prompts) for example in batch)
    by_strategy: dict[str, list[Example]] = defaultdict(list)
    for example in batch:
        by_strategy[example.strategy].append(example)
    total = 0.0
    for examples in by_strategy.values():
        ids, targets, start = _pad(examples, prompts)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, start:]
        logits = model.lm_head(hidden).flatten(0, 1)
        loss = F.cross_entropy(logits, targets.flatten(), ignore_index=_IGNORED, reduction="sum") / tokens
        loss.backward()
        total += loss.item()
    return total


def _learned(example: Example, prompts: bool) -> int:
    """The first token that the loss covers: the completion's, or the second of all, for nothing predicts the first."""
    return 1 if prompts else len(example.prompt)


def _pad(examples: Sequence[Example], prompts: bool) -> tuple[Tensor, Tensor, int]:
    """Inputs (B, T), targets (B, T - start) and the first position that predicts a learned token.

    Padding is on the right, where causal attention keeps it from every real token.
    """
    width = max(len(example.prompt) + len(example.completion) for example in examples) - 1
    start = min(_learned(example, prompts) for example in examples) - 1
    ids, targets = torch.zeros(len(examples), width, dtype=torch.long), torch.full((len(examples), width), _IGNORED)
    for row, example in enumerate(examples):
        tokens, learned = torch.tensor(example.prompt + example.completion), _learned(example, prompts)
        ids[row, : len(tokens) - 1] = tokens[:-1]
        targets[row, learned - 1 : len(tokens) - 1] = tokens[learned:]
    return ids, targets[:, start:], start


@contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
