"""A model directory that holds an adapter alone, in PEFT's format, and names the model it belongs to."""

import json
from pathlib import Path
from typing import NamedTuple

from spurious.errors import CheckpointError

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


class AdapterBase(NamedTuple):
    """The model that an adapter belongs to."""

    model: str
    """A directory or a hub id."""
    revision: str | None


def adapter_base(source: str) -> AdapterBase | None:
    """What the adapter in a directory belongs to; None where `source` is no directory or holds no adapter.

    Raises:
        CheckpointError: the adapter's configuration is unreadable, names no model, or leads back to itself.
    """
    base = above = _told(source)
    seen = {Path(source).resolve()}
    while above is not None:
        place = Path(above.model).resolve()
        if place in seen:
            raise CheckpointError(f"{Path(source) / ADAPTER_CONFIG}: the adapter belongs to itself")
        seen.add(place)
        above = _told(above.model)
    return base


def _told(source: str) -> AdapterBase | None:
    path = Path(source) / ADAPTER_CONFIG
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return AdapterBase(str(told["base_model_name_or_path"]), told.get("revision"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: does not say which model the adapter belongs to: {error}") from error
