"""Many seeds of one arm as one batched model (torch.func), against one after the other: forward and backward.

    python benchmarks/seeds_at_once.py [--seeds 16] [--rows 64] [--length 46] [--pairs 5] [--write]

The model is an organism's body. A tiny model leaves most of a GPU idle, so that a batch of models could pay there.
Beside it stands what a GPU gives without it: one model's pass recorded as a CUDA graph. A record is of a GPU.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from record import Table, command_line, publish
from side_by_side import in_turns, ratio
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from spurious.organisms import untrained
from spurious.policy import load

GPU = torch.cuda.is_available()


class Loss(nn.Module):
    """Negative log-likelihood of the rows, so that one call is all that a batch of models has to do."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1]
        return functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def finished() -> None:
    if GPU:
        torch.cuda.synchronize()


def one_by_one(models: list[Loss], ids: Tensor) -> Callable[[], None]:
    def run() -> None:
        for model, rows in zip(models, ids, strict=True):
            model(rows).backward()
        finished()

    return run


def together(models: list[Loss], ids: Tensor) -> Callable[[], None]:
    parameters, buffers = stack_module_state(models)  # type: ignore[arg-type]
    empty = copy.deepcopy(models[0]).to("meta")
    gradients = vmap(grad(lambda weights, kept, rows: functional_call(empty, (weights, kept), (rows,))))

    def run() -> None:
        gradients(parameters, buffers, ids)
        finished()

    return run


def graphs(models: list[Loss], ids: Tensor) -> Callable[[], None]:
    """Each model's pass, recorded once and repeated."""
    recorded = []
    for model, rows in zip(models, ids, strict=True):
        model(rows).backward()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            model(rows).backward()
        recorded.append(graph)

    def run() -> None:
        for graph in recorded:
            graph.replay()
        finished()

    return run


def main() -> None:
    parser = command_line(__doc__, seeds=16, rows=64, length=46, pairs=5)
    arguments = parser.parse_args()
    arguments.write &= GPU
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        policy = load(str(untrained(Path(folder), "qwen2")))
    models = [Loss(copy.deepcopy(policy.model)) for _ in range(arguments.seeds)]
    shape = (arguments.seeds, arguments.rows, arguments.length)
    ids = torch.randint(5, 300, shape, device=policy.device)
    ways = {"one by one": one_by_one(models, ids), "one batched model": together(models, ids)}
    if GPU:
        ways["one by one, as CUDA graphs"] = graphs(models, ids)
    seconds = dict(zip(ways, in_turns(list(ways.values()), arguments.pairs), strict=True))
    first = seconds["one by one"]
    table = [
        {"way": name, "seconds": median(taken), "times as fast": None if taken is first else ratio(taken, first)}
        for name, taken in seconds.items()
    ]
    publish(
        "seeds_at_once",
        [Table(f"{arguments.seeds} models, forward and backward", table)],
        arguments,
        gpu=torch.cuda.get_device_name() if GPU else None,
    )


if __name__ == "__main__":
    main()
