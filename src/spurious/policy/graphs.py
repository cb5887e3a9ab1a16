"""A decoding step as one CUDA graph: all of its hundreds of kernels are started at once.

Started one by one from Python they take five times as long (docs/performance.md). A graph repeats what was recorded, on
the same memory, so all that changes from step to step (tokens, positions, the place in the cache) is kept there, and
attention goes over more places than have been written, the rest hidden. Every number of rows and of places takes a new
recording, once more through Python: rows are let go of by halves, places are added by the hundred.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad

from spurious.policy.decoding import ModelDecoding
from spurious.policy.fused import Fused, FusedDecoding

PLACES = 128
"""Places of the cache that are added to a recording at a time; attention's kernels want multiples of eight."""

KERNELS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Of attention: those that take a mask and ask for no memory while they are recorded, as cuDNN's does."""

Body = Callable[[], Tensor]


class GraphDecoding(FusedDecoding):
    """What `FusedDecoding` is, repeated without Python between its operations."""

    fullest = 0.5
    branches = False

    def __init__(
        self, weights: Fused, read: ModelDecoding, most: int, record: Callable[[Body], Body] | None = None
    ) -> None:
        """Go on from prompts that the model itself has read, whose cache this takes over, with room for `most` rows.

        `record` turns a step into its repetition and carries nothing out; null is `recorded`.
        """
        read.mask = pad(read.mask, (0, -read.mask.shape[1] % 8))
        super().__init__(weights, read, most)
        self.bias = self.bias.to(weights.cached or self.bias.dtype)
        self.places = torch.arange(self.bias.shape[1], device=self.bias.device)
        self.place = torch.tensor([self.width], device=self.bias.device)
        """(1,): where the next token is kept."""
        self._record = record or recorded
        self._reach = 0
        """Places that a step attends to."""
        self._tokens = self.lengths.clone()
        self._repeat: Body | None = None
        self._started = False

    def select(self, index: Tensor) -> None:
        """Keep, or repeat, these rows."""
        self._repeat = None  # and with it the memory it was recorded on
        super().select(index)
        self._tokens = self._tokens[index]

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token a row, (B,), and return the logits of the next, (B, V), which the next step overwrites."""
        self._tokens.copy_(tokens)
        self.width += 1
        if self.width > self._reach:
            self._repeat = None
            self._reach = min(-(-self.width // PLACES) * PLACES, self.bias.shape[1])
        if not self._started:  # libraries set themselves up at a first call, which cannot be recorded
            self._started = True
            return self._once()
        self._repeat = self._repeat or self._record(self._once)
        return self._repeat()

    def _once(self) -> Tensor:
        hidden = self.places[: self._reach] > self.place
        with sdpa_kernel(KERNELS):
            logits = self._read(self._tokens, self.bias[:, : self._reach].masked_fill(hidden, -torch.inf))
        self.lengths.add_(1)
        self.place.add_(1)
        return logits

    def _keep(self, buffer: Tensor, new: Tensor) -> None:
        buffer[: len(new)].index_copy_(2, self.place, new[:, :, None].to(buffer.dtype))


def recorded(body: Body) -> Body:
    """A step as a CUDA graph: recorded now without being carried out, then repeated at every call."""
    graph, aside = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside), _any_order():
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            output = body()
        finally:
            graph.capture_end()
    torch.cuda.current_stream().wait_stream(aside)

    def repeat() -> Tensor:
        graph.replay()
        return output

    return repeat


@contextmanager
def _any_order() -> Generator[None]:
    """Let one place be written as it is: strictly deterministic, torch would first sort the places."""
    strict = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
