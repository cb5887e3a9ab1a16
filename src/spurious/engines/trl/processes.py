"""The processes that train one run together, as `torchrun` starts them; a single process is the same with count 1."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from spurious.keys import KeyPart
from spurious.policy import Sampler
from spurious.specs import SamplingSpec
from spurious.types import Group, Prompt

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is."""

    rank: int
    count: int

    @classmethod
    def of_environment(cls) -> "Processes":
        """As the launcher says it in RANK and WORLD_SIZE."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    @property
    def main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every count-th of the items: this process's part of the work."""
        return items[self.rank :: self.count]

    def gathered(self, mine: Sequence[T]) -> list[T]:
        """What `share` parted, together again in order; every process gets all of it."""
        parts = self.parts(list(mine))
        total = sum(map(len, parts))
        return [parts[i % self.count][i // self.count] for i in range(total)]

    def parts(self, mine: T) -> list[T]:
        """Every process's object, by rank."""
        if self.count == 1:
            return [mine]
        everyone: list[Any] = [None] * self.count
        dist.all_gather_object(everyone, mine)
        return everyone

    def from_main(self, value: T | None) -> T:
        """The main process's object."""
        box = [value]
        if self.count > 1:
            dist.broadcast_object_list(box, src=0, device=_device())
        return box[0]  # type: ignore[return-value]  # the main process gave one


class SharedSampler:
    """A sampler of one policy in every process: each draws its share of the prompts, and all get every group.

    Draws are keyed, so the groups are those that one process would have drawn.
    """

    def __init__(self, sampler: Sampler, processes: Processes) -> None:
        self._sampler, self._processes = sampler, processes

    def sample(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingSpec,
        scope: tuple[KeyPart, ...],
        *,
        confidence: bool = False,
        on_group: Callable[[int, Group], None] | None = None,
    ) -> list[Group]:
        """Draw n completions of each prompt; see `spurious.policy.protocol.Sampler`."""
        mine = self._processes.share(prompts)
        groups = self._processes.gathered(self._sampler.sample(mine, n, sampling, scope, confidence=confidence))
        if on_group:
            for index, group in enumerate(groups):
                on_group(index, group)
        return groups


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
