"""Gradient checkpointing (Chen et al. 2016): of each layer only its input is kept, the rest is computed again.

The same operations on the same numbers, so the same gradients, for the time of one more forward pass. Transformers has
a switch of its own, which works only in training mode, where dropout would act too; policies stay in eval mode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from spurious.errors import SpecError


def recomputed_layers(model: Any) -> list[Any]:
    """The layers that can be computed again.

    Raises:
        SpecError: transformers marks none in this model.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise SpecError(f"policy.gradient_checkpointing: {type(model).__name__} has no layers that can be recomputed")
    return layers


@contextmanager
def recomputed(model: Any) -> Iterator[None]:
    """Forward passes inside keep only the inputs of layers, whenever their backward pass comes."""
    layers = recomputed_layers(model)
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
