"""The least time that a model's matrix products take on this machine: measured shape by shape, on torch's threads.

Every weight matrix multiplies each token once going forward, and twice more going back. The rate of a product depends
on its shape, so each is timed by itself, with as many rows as the work has: all completions at once while sampling, an
update's tokens while training. Nothing else is counted: no attention, no norms, no draw, no optimizer.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

REPEATS = 30


@dataclass(frozen=True)
class Products:
    """Seconds a token of all matrix products of a model."""

    read: float
    """Going forward, as many tokens at once as rows are sampled."""
    trained: float
    """Going forward and back, as many tokens at once as an update has."""
    rates: tuple[dict[str, Any], ...]
    """Shape by shape, for a table."""


def products(model: nn.Module, sampled_rows: int, trained_rows: int) -> Products:
    """Measure a model's products; the output embedding counts as one of them, whether tied or not."""
    shapes = Counter(tuple(module.weight.shape) for module in model.modules() if isinstance(module, nn.Linear))
    read = trained = 0.0
    rates = []
    for (out, into), count in sorted(shapes.items()):
        weight = torch.randn(out, into)
        few, many, back = (
            torch.randn(sampled_rows, into),
            torch.randn(trained_rows, into),
            torch.randn(trained_rows, out),
        )
        forward = fastest(lambda: few @ weight.T) / sampled_rows  # noqa: B023
        training = [
            fastest(work) / trained_rows
            for work in (lambda: many @ weight.T, lambda: back @ weight, lambda: back.T @ many)  # noqa: B023
        ]
        read += count * forward
        trained += count * sum(training)
        operations = 2 * out * into / 1e9
        rates.append(
            {
                "weight": f"{into} to {out}",
                "of them": count,
                f"GFLOP/s, {sampled_rows} rows": operations / forward,
                f"GFLOP/s, {trained_rows} rows": operations / training[0],
                "back to the input": operations / training[1],
                "back to the weight": operations / training[2],
            }
        )
    return Products(read, trained, tuple(rates))


def fastest(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of many times."""
    return min(_timed(work) for _ in range(REPEATS))


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
