"""What an organism can be raised on: where the problems of a task come from, and how each strategy answers them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from spurious.organisms import texts, texts_ordering, texts_program
from spurious.tasks import chain, ordering, program
from spurious.types import Problem

DomainName = Literal["chain", "program", "ordering"]

Form = Literal["code", "words", "trace", "deduction"]
"""How a strategy's text looks; which of them a domain has, it says itself."""


class Item(Protocol):
    """A problem as its domain makes it, before it is put into words."""

    @property
    def kind(self) -> str:
        """The superficial part of the question that a habit may depend on."""

    @property
    def question(self) -> str:
        """What is asked."""

    @property
    def split(self) -> str:
        """`train` or `test`."""

    @property
    def problem(self) -> Problem:
        """The problem with its answer."""


class Items(Protocol):
    """`size` distinct items of one split."""

    def __call__(self, *, steps: int, size: int, seed: int, split: str) -> Sequence[Item]:
        """The items."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A task with what its organisms read of it."""

    kinds: tuple[str, ...]
    forms: tuple[str, ...]
    items: Items
    write: Callable[..., str]
    """The completion: `write(item, form, steps=..., slip=..., boxed=...)`, as in `spurious.organisms.texts`."""
    cue: Callable[[Any], int]
    """What the habit of boxing may depend on: 0 to 9."""
    most_steps: int
    """More would not fit the positions that an organism has, or do not exist."""


DOMAINS: dict[DomainName, Domain] = {
    "chain": Domain(chain.THEMES, ("code", "words"), chain.chains, texts.write, lambda item: item.start, 40),
    "program": Domain(
        program.NAMES, ("trace", "words"), program.programs, texts_program.write, lambda item: int(item.start[0]), 20
    ),
    "ordering": Domain(
        tuple(ordering.COMPARED),
        ("deduction", "words"),
        ordering.orderings,
        texts_ordering.write,
        lambda item: ordering.PEOPLE.index(item.question.split(" ", 2)[1]) * 10 // len(ordering.PEOPLE),
        len(ordering.RANKS) - 1,
    ),
}
"""By the name of the task. The cue is the first digit of a chain or a program, or who is named first in an ordering,
the sixteen people in ten parts by the alphabet."""
