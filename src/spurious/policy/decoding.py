"""What the rows of a batch have read so far, and how they read on: the model's own forward pass with its cache."""

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache


class Decoding(Protocol):
    """Rows in the middle of being written, all padded on the left to one width."""

    fullest: float
    """The share of rows still needed at which it pays to let go of the others."""

    branches: bool
    """Whether rows may become more: completions are then one row for as long as they are the same."""

    def select(self, index: Tensor) -> None:
        """Keep, or repeat, these rows."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token a row, (B,), and return the logits of the next, (B, V)."""


class ModelDecoding:
    """Any Hugging Face causal language model."""

    fullest = 0.875
    branches = True

    def __init__(self, model: Any, lengths: Tensor, width: int, room: int) -> None:
        """For prompts of `lengths` (B,) tokens, padded on the left to `width`, and `room` tokens more."""
        self.model = model
        self.cache = DynamicCache(config=model.config)
        places = torch.arange(width + room, device=lengths.device)
        self.mask = (places >= width - lengths[:, None]).long()
        """(B, width + room): 0 at the padding on the left."""
        self.lengths = lengths
        """(B,): tokens read, padding apart."""
        self.width = width
        """Positions in the cache, padding included; the same for all rows."""
        accepted = inspect.signature(type(model).forward).parameters
        self._takes_positions = "position_ids" in accepted
        self._keeps_last = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}

    def read(self, ids: Tensor) -> Tensor:
        """Read the padded prompts, (B, width), and return the logits of what follows, (B, V)."""
        places = torch.arange(self.width, device=ids.device)
        return self._forward(ids, (places - (self.width - self.lengths[:, None])).clamp(min=0))

    def select(self, index: Tensor) -> None:
        """Keep, or repeat, these rows."""
        self.cache.batch_select_indices(index)
        self.mask, self.lengths = self.mask[index], self.lengths[index]

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token a row, (B,), and return the logits of the next, (B, V)."""
        positions = self.lengths[:, None]
        self.lengths = self.lengths + 1
        self.width += 1
        return self._forward(tokens[:, None], positions)

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        placed = {"position_ids": positions} if self._takes_positions else {}
        output = self.model(
            input_ids=ids,
            attention_mask=self.mask[:, : self.width],
            past_key_values=self.cache,
            use_cache=True,
            **placed,
            **self._keeps_last,
        )
        logits: Tensor = output.logits[:, -1]
        return logits
