"""The organisms' language: who is where in an order that sentences build up, one person at a time?

    Suppose Ann is taller than Bob. Cid is shorter than Bob. Dan is taller than Ann. Who is second tallest?

From the top they are Dan, Ann, Bob, Cid, and the second is Ann. Every sentence after the first tells of somebody new
above the top or below the bottom of the order so far, so that the order is always complete. The difficulty is the
number of sentences. What is compared, one of eight things, is the problem's kind: it changes nothing in the order. No
order belongs to both splits, whatever is compared, however it is said, whoever is asked for and whatever the seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import perm

import numpy as np

from spurious.errors import InputError
from spurious.keys import key, uniforms
from spurious.tasks.base import make_problem
from spurious.types import Problem

COMPARED = {
    "height": ("taller", "shorter", "tallest"),
    "age": ("older", "younger", "oldest"),
    "speed": ("faster", "slower", "fastest"),
    "weight": ("heavier", "lighter", "heaviest"),
    "wealth": ("richer", "poorer", "richest"),
    "noise": ("louder", "quieter", "loudest"),
    "strength": ("stronger", "weaker", "strongest"),
    "warmth": ("warmer", "colder", "warmest"),
}
"""What is compared, the kinds of the task: the words for above, below and the top."""

PEOPLE = (
    "Ann",
    "Bob",
    "Cid",
    "Dan",
    "Eve",
    "Fay",
    "Gus",
    "Hal",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Max",
    "Ned",
    "Pam",
    "Ray",
)

RANKS = ("", "second ", "third ", "fourth ", "fifth ", "sixth ", "seventh ", "eighth ")

SPLITS = ("train", "test")

_TEST_PART = 8  # one order in eight is held out
_BLOCK = 4096
_PATIENCE = 64


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence: who is above whom, and whether it is said of the upper one ('taller') or of the lower ('shorter')."""

    upper: str
    lower: str
    downward: bool

    def words(self, above: str, below: str) -> str:
        """The sentence, with the words for above and below."""
        if self.downward:
            return f"{self.upper} is {above} than {self.lower}."
        return f"{self.lower} is {below} than {self.upper}."


@dataclass(frozen=True, slots=True)
class Ordering:
    """What is compared, the facts, and the rank that is asked for, from 0, the top."""

    compared: str
    facts: tuple[Fact, ...]
    rank: int

    @property
    def kind(self) -> str:
        """What is compared."""
        return self.compared

    @property
    def orders(self) -> tuple[tuple[str, ...], ...]:
        """The order so far after each sentence, from the top; each one has one person more."""
        order: tuple[str, ...] = (self.facts[0].upper, self.facts[0].lower)
        orders = [order]
        for fact in self.facts[1:]:
            order = (fact.upper, *order) if fact.lower == order[0] else (*order, fact.lower)
            orders.append(order)
        return tuple(orders)

    @property
    def question(self) -> str:
        """The facts and the question."""
        above, below, top = COMPARED[self.compared]
        told = " ".join(fact.words(above, below) for fact in self.facts)
        return f"Suppose {told} Who is {RANKS[self.rank]}{top}?"

    @property
    def answer(self) -> str:
        """The name of the one who is asked for."""
        return self.orders[-1][self.rank]

    @property
    def split(self) -> str:
        """`train` or `test`: a keyed hash of who is above whom, in the order of the sentences."""
        content = [f"{fact.upper} {fact.lower}" for fact in self.facts]
        return "test" if key("ordering", "split", *content) % _TEST_PART == 0 else "train"

    @property
    def problem(self) -> Problem:
        """The ordering as a problem; `metadata` holds the number of sentences and the whole order from the top."""
        order = list(self.orders[-1])
        return make_problem(
            self.question, self.answer, "ordering", self.compared, steps=len(self.facts), order=order, rank=self.rank
        )


def build(*, steps: int = 4, size: int = 1024, seed: int = 0, split: str = "train") -> tuple[Problem, ...]:
    """`size` distinct problems of one split; a smaller size gives the first of a larger one.

    Raises InputError, naming the argument, where fewer than `size` such problems exist.
    """
    return tuple(ordering.problem for ordering in orderings(steps=steps, size=size, seed=seed, split=split))


def orderings(*, steps: int, size: int, seed: int, split: str) -> list[Ordering]:
    """The orderings behind `build`, all distinct: what is compared, people, sides, wording and rank uniform."""
    if not 1 <= steps < len(RANKS):
        raise InputError(f"ordering: steps must be 1 to {len(RANKS) - 1}, not {steps}")
    if size < 1:
        raise InputError(f"ordering: size must be at least 1, not {size}")
    if split not in SPLITS:
        raise InputError(f"ordering: split must be one of {', '.join(SPLITS)}, not {split!r}")
    found: dict[Ordering, None] = {}
    # 64 draws for each problem that exists leave one unseen with odds of exp(-64): what is missing then does not exist.
    exist = len(COMPARED) * (steps + 1) * perm(len(PEOPLE), steps + 1) * 4**steps // 2  # the first two can trade places
    for block in range(_PATIENCE * min(exist, _TEST_PART * size) // _BLOCK + 2):
        for ordering in _draws(key(seed, "ordering", split, steps, block), steps):
            if ordering.split == split:
                found[ordering] = None
                if len(found) == size:
                    return list(found)
    raise InputError(f"ordering: size is {size}, but only {len(found)} {split} problems of {steps} steps exist")


def _draws(seed: int, steps: int) -> Iterator[Ordering]:
    """One block of uniformly random orderings."""
    people = steps + 1
    sides = np.array([len(COMPARED), people, *(len(PEOPLE) - i for i in range(people)), *[2, 2] * steps])
    dice = (uniforms(seed, _BLOCK * len(sides)).reshape(_BLOCK, -1) * sides).astype(np.int64)
    for compared, rank, *rest in dice.tolist():
        left = list(PEOPLE)
        names = [left.pop(place) for place in rest[:people]]
        yield Ordering(tuple(COMPARED)[compared], _facts(names, rest[people:]), rank)


def _facts(names: list[str], dice: list[int]) -> tuple[Fact, ...]:
    """A sentence for every name but the first, in their order: whether on top or at the bottom, and said from where."""
    top = bottom = names[0]
    facts = []
    for name, on_top, downward in zip(names[1:], dice[::2], dice[1::2], strict=True):
        if on_top:
            facts.append(Fact(name, top, bool(downward)))
            top = name
        else:
            facts.append(Fact(bottom, name, bool(downward)))
            bottom = name
    return tuple(facts)
