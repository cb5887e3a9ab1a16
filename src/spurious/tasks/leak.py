"""Which problems of a benchmark a model has read before it was asked them: a draw that recipe and benchmark share."""

from typing import Annotated, Literal

from pydantic import Field

from spurious.errors import InputError
from spurious.keys import key, permutation
from spurious.specs import Spec


class Leak(Spec):
    """A keyed draw among a benchmark's problems; fewer items are among those of more."""

    items: Annotated[int, Field(ge=1)] = 64
    """How many problems leaked."""
    seed: Annotated[int, Field(ge=0)] = 0


class LeakPart(Leak):
    """One side of the draw."""

    part: Literal["leaked", "clean"]


def leaked_rows(leak: Leak, size: int) -> list[int]:
    """The rows of the leaked problems among the `size` of the benchmark, ascending.

    Raises InputError where there are not so many.
    """
    if leak.items > size:
        raise InputError(f"leaked: items is {leak.items}, but the benchmark has {size} problems")
    return sorted(permutation(key(leak.seed, "leak"), size)[: leak.items])
