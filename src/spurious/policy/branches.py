"""Completions that have written the same so far are one row of a batch, until they part.

The completions of a group begin alike, and those of a sharpened policy go on alike for long: of the tokens that
good-code draws an eighth has to be read, and less once it is trained. As a row's numbers do not depend on the rows
beside it, not a bit of any completion depends on this.
"""

from collections.abc import Sequence
from typing import NamedTuple

FEWEST_ROWS = 4
"""Matrix products of one, two or three rows take other code paths, which round differently."""


class Branches(NamedTuple):
    """What the rows of a batch are to be before its next step."""

    owners: list[int]
    """(B,) the row of each completion."""
    sources: list[int]
    """(R,) the row that each row goes on from; its own number where nothing changes."""
    tokens: list[int]
    """(R,) what each row reads next."""


def advance(owners: Sequence[int], tokens: Sequence[int], rows: int, fullest: float) -> Branches:
    """Part completions that have drawn different tokens.

    Rows stay where they are if they can; others take the places that are free. Places beyond those needed are let go of
    once no more than the share `fullest` of them is needed, and never leave fewer than `FEWEST_ROWS`.

    Args:
        owners: (B,) the row that each unfinished completion was drawn from.
        tokens: (B,) what each has drawn.
        rows: How many there are now.
        fullest: See `spurious.policy.decoding.Decoding`.
    """
    distinct = list(dict.fromkeys(zip(owners, tokens, strict=True)))
    needed = max(len(distinct), FEWEST_ROWS)
    size = needed if needed <= fullest * rows else max(needed, rows)
    staying: dict[int, int] = {}
    for owner, token in distinct:
        if owner < size:
            staying.setdefault(owner, token)
    places = {(owner, token): owner for owner, token in staying.items()}
    free = (place for place in range(size) if place not in staying)
    places.update((pair, next(free)) for pair in distinct if pair not in places)
    sources = [place if place < rows else 0 for place in range(size)]
    read = [0] * size
    for (owner, token), place in places.items():
        sources[place], read[place] = owner, token
    return Branches([places[pair] for pair in zip(owners, tokens, strict=True)], sources, read)
