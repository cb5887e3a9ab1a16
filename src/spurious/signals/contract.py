"""What a reward is, what it may ask for, and how a group is paid.

A reward is a plain function of one group: texts in, one finite float per completion out. Group rewards (majority vote)
need no special case. `pay` is the only place where training calls one.
"""

import math
import numbers
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spurious.errors import RewardError
from spurious.keys import Draw
from spurious.types import Extraction, Group, Problem

OFFERED = ("label", "problem", "draw", "sampler_logprobs", "entropies", "self_certainties", "extraction")
"""The keyword arguments that training offers to every reward."""

PER_TOKEN = frozenset({"sampler_logprobs", "entropies", "self_certainties"})
"""Those of them that the sampler records, one float per token; `needs` says which a reward reads."""


class Reward(Protocol):
    """A function of one group; what it has no use for it leaves in `kwargs`.

    Args:
        completions: the G texts of one prompt.
        label: the answer that this arm believes; never empty.
        problem: the question, with its true answer.
        draw: this group's noise; a reward draws from nothing else.
        kwargs: `sampler_logprobs`, `entropies` and `self_certainties` (one tuple per completion, one float per token,
            in nats; empty where the sampler did not record it) and `extraction`, which text counts as the answer.

    Returns:
        G finite floats, the i-th for the i-th completion.
    """

    def __call__(
        self, completions: Sequence[str], /, *, label: str, problem: Problem, draw: Draw, **kwargs: Any
    ) -> list[float]:
        """Pay one group."""
        ...


class NotReproducibleWarning(UserWarning):
    """A reward drew from ambient randomness: the same run again will be paid differently."""


@dataclass(frozen=True)
class BuiltReward:
    """A reward as a specification asked for it."""

    function: Reward
    name: str
    """Short, for directory names: lower case letters, digits, `_`, `.` and `-`."""
    source: str | None
    """The text of the user's files, None when every part is built in."""
    digest: str
    """Hex digest of everything that changes what is paid: names, parameters with defaults, source; not a path."""
    needs: frozenset[str]
    """Which of `PER_TOKEN` the sampler has to record."""
    reads_group: tuple[str, ...] = ()
    """The rewards in it that may pay a completion by what the others of its group say; a user's own always may."""
    draws: bool = False
    """Whether it may draw, so that the same texts are paid differently at another step."""


def checked(values: object, n: int, name: str, problem_id: str) -> list[float]:
    """Return the n values as floats, or refuse them.

    Booleans, integers and NumPy scalars, arrays and tensors of one dimension count as numbers.

    Raises:
        RewardError: not a sequence, not n values, or a value that is no finite real number; names reward and problem.
    """
    where = f"reward {name!r} on problem {problem_id!r}"
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise RewardError(f"{where} returned {_shown(values)}, not a list of {n} numbers")
    if len(values) != n:
        raise RewardError(f"{where} returned {len(values)} values for {n} completions")
    return [_finite(value, f"{where}: value {i}") for i, value in enumerate(values)]


def _finite(value: object, where: str) -> float:
    if not isinstance(value, numbers.Real | np.bool_):
        raise RewardError(f"{where} is {_shown(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        raise RewardError(f"{where} is too large for a float") from None
    if not math.isfinite(number):
        raise RewardError(f"{where} is {number}, not a finite number")
    return number


def _shown(value: object) -> str:
    plain = isinstance(value, bool | float | str | None)
    return reprlib.repr(value) if plain else f"something of type {type(value).__name__}"


def pay(
    built: BuiltReward, group: Group, label: str, draw: Draw, extraction: Extraction = "strict"
) -> tuple[float, ...]:
    """Return what each completion of the group is paid: G finite floats.

    Raises:
        RewardError: the reward failed, misses what it needs, or returned anything but G finite real numbers; also when
            the label is empty, since an empty label would pay for giving no answer.
    """
    problem = group.prompt.problem
    if not label.strip():
        raise RewardError(f"reward {built.name!r} on problem {problem.id!r}: the label is empty")
    values = built.function(
        group.texts,
        label=label,
        problem=problem,
        draw=draw,
        sampler_logprobs=tuple(completion.sampler_logprobs for completion in group.completions),
        entropies=tuple(completion.entropies for completion in group.completions),
        self_certainties=tuple(completion.self_certainties for completion in group.completions),
        extraction=extraction,
    )
    return tuple(checked(values, len(group.completions), built.name, problem.id))
