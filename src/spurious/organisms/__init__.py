"""Tiny language models whose pretraining is known: which strategies they read, how often, and how good each was.

Importing this package does not import torch: who only wants to know what a recipe says does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spurious.organisms.recipe import Recipe, load_recipe, packaged

if TYPE_CHECKING:
    from spurious.organisms.builder import build
    from spurious.organisms.model import untrained

__all__ = ["Recipe", "build", "load_recipe", "packaged", "untrained"]


def __getattr__(name: str) -> Any:
    """Load the module that defines the name."""
    modules = {"build": "builder", "untrained": "model"}
    if name in modules:
        return getattr(import_module(f"{__name__}.{modules[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
