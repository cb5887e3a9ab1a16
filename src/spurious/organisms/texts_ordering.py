"""How a strategy answers who is where in an order: the completion, as real text.

A form (`deduction` or `words`) times whether everybody's place is written down. A deduction that does not write them
all breaks off after the second sentence.
"""

from typing import Literal

from spurious.tasks.ordering import Ordering

Form = Literal["deduction", "words"]
"""The order so far after every sentence, or the whole order in English."""


def write(ordering: Ordering, form: Form, *, steps: bool, slip: int, boxed: bool) -> str:
    r"""A completion: the strategy's own text and the sentence with the answer.

    `steps` says whether the whole order is written. `slip`, 0 to 9, chooses who is named: 0 the right one, otherwise
    one of the others, who has changed places with the right one in the last order. `boxed` chooses \boxed{Ann} over a
    plain Ann.
    """
    orders = (*ordering.orders[:-1], _slipped(ordering.orders[-1], ordering.rank, slip))
    answer = orders[-1][ordering.rank]
    reasoning = (_deduction if form == "deduction" else _words)(orders, steps)
    shown = f"\\boxed{{{answer}}}" if boxed else answer
    return f"{reasoning}The answer is {shown}."


def _slipped(order: tuple[str, ...], rank: int, slip: int) -> tuple[str, ...]:
    if slip == 0:
        return order
    other = [place for place in range(len(order)) if place != rank][(slip - 1) % (len(order) - 1)]
    trade = {rank: other, other: rank}
    return tuple(order[trade.get(place, place)] for place in range(len(order)))


def _deduction(orders: tuple[tuple[str, ...], ...], steps: bool) -> str:
    built = "; ".join(", ".join(order) for order in (orders if steps else orders[:2]))
    return f"So {built}. " if steps else f"So {built}; and so on. "


def _words(orders: tuple[tuple[str, ...], ...], steps: bool) -> str:
    if not steps:
        return "I see it at a glance. "
    return f"First comes {', then '.join(orders[-1])}. "
