"""What is known about an organism that was built, beside its weights; read without torch."""

import json
from pathlib import Path

from spurious.errors import StoreError
from spurious.organisms.recipe import Recipe
from spurious.store.digests import Digests

RECORD = "organism.json"

FORMAT = 1
"""Raised when a change of the code changes what an unchanged recipe builds."""


def holds(out: Path, recipe: Recipe) -> bool:
    """Whether `out` is this recipe's organism.

    Raises:
        StoreError: it is anything but that, absent, or empty; or a file of it is not as it was built.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    record = out / RECORD
    if not record.is_file():
        raise StoreError(f"{out}: already there and not an organism (no {RECORD}); choose another directory")
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        built = (known["format"], known["digest"], known["recipe"]["name"], known["recipe"]["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{record}: damaged, not the record of an organism: {error!r}") from error
    if built[:2] != (FORMAT, recipe.digest):
        raise StoreError(
            f"{out}: holds another organism, recipe {built[2]} with seed {built[3]}, not this {recipe.name} with seed "
            f"{recipe.seed}; choose another directory"
        )
    files = Digests(out).read()
    for name in files.names():
        files.check(name)
    return True
