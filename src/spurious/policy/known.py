"""The models of the paper as data: where they are, at which commit, how they are asked, what they are built from.

Reading the table imports neither torch nor transformers.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import yaml
from pydantic import Field

from spurious.specs import Spec


class KnownModel(Spec):
    """One row of `known.yaml`."""

    source: str
    """The hub id."""
    revision: Annotated[str, Field(pattern="^([0-9a-f]{40}|main)$")]
    """A commit of the hub; `main` where none could be verified."""
    template: str
    """A prompt template of `spurious.tasks.prompts.TEMPLATES`."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion, beside the model's own end-of-sequence tokens and the template's own strings."""
    config: dict[str, Any]
    """What transformers builds the model from; `model_type` names the architecture."""


@cache
def known_models() -> dict[str, KnownModel]:
    """The table, by the name that the paper studies call a model by."""
    table = yaml.safe_load(files("spurious.policy").joinpath("known.yaml").read_text(encoding="utf-8"))
    return {name: KnownModel.model_validate(row) for name, row in table["models"].items()}


def known_model(source: str) -> KnownModel | None:
    """The row of a hub id."""
    return next((row for row in known_models().values() if row.source == source), None)
