"""Small models on several cores: separate pieces of work on a thread each, and every operation on one.

A decoding step of a small model is slower on two of torch's threads than on one, but two halves of the rows, each
decoded on a thread, take little more than half as long; the halves of an update gain a little.
"""

import copy
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import torch

from spurious.policy.lora import adapters
from spurious.policy.model import Policy

T = TypeVar("T")
R = TypeVar("R")

LARGEST = 50_000_000
"""Parameters of the largest model treated this way: above, single operations keep every core busy."""


def threads_for(model: Any) -> int:
    """Pieces of work to be done at once; 1 where torch's own threads serve better."""
    small = model.device.type == "cpu" and model.num_parameters() <= LARGEST and not adapters(model)
    return torch.get_num_threads() if small else 1


def in_threads(work: Callable[[T], R], items: Sequence[T], threads: int) -> Generator[R, None, None]:
    """`work` on every item, results in order; an exception of any is raised when its turn comes.

    Until it ends or is closed, torch computes on one thread: close it where a result may not be asked for.
    """
    if threads == 1 or len(items) <= 1:
        yield from map(work, items)
        return
    dtype, enabled = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def as_here(item: T) -> R:
        with torch.autocast("cpu", dtype, enabled):  # which every thread has for itself
            return work(item)

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # what a new thread takes over
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(as_here, items)
    finally:
        torch.set_num_threads(before)


def replicas(policy: Policy, count: int) -> list[Policy]:
    """The policy, and others with the very same weights but gradients of their own."""
    others = []
    for _ in range(count - 1):
        model = copy.deepcopy(policy.model)
        for mine, theirs in zip(model.parameters(), policy.model.parameters(), strict=True):
            mine.data, mine.grad = theirs.data, None
        others.append(replace(policy, model=model))
    return [policy, *others]


@torch.no_grad()
def add_gradients(policies: Sequence[Policy]) -> None:
    """Move the gradients of replicas to the first policy, in their order, so that the sum is always the same."""
    for other in policies[1:]:
        for mine, theirs in zip(policies[0].model.parameters(), other.model.parameters(), strict=True):
            if theirs.grad is not None:
                mine.grad = theirs.grad if mine.grad is None else mine.grad.add_(theirs.grad)
                theirs.grad = None
