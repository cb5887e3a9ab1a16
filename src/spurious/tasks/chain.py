"""The organisms' arithmetic: chains of operations on digits, from left to right, modulo ten.

`Count marbles left to right, mod ten: 3+4*7-2+5=?` asks for 3+4 = 7, 7*7 = 9, 9-2 = 7, 7+5 = 2. The difficulty is the
number of operations. A theme, one of eight things to count, is the problem's kind: it changes nothing in the
arithmetic, so that a habit can depend on it. No chain belongs to both splits, whatever its theme and whatever the seed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spurious.errors import InputError
from spurious.keys import key, uniforms
from spurious.tasks.base import make_problem
from spurious.types import Problem

THEMES = ("marbles", "coins", "apples", "tickets", "stamps", "trains", "pages", "lamps")
"""What is counted: the kinds of the task."""

OPERATORS = "+-*"

SPLITS = ("train", "test")

_TEST_PART = 8  # one chain in eight is held out
_BLOCK = 4096
_PATIENCE = 64


@dataclass(frozen=True, slots=True)
class Chain:
    """A start digit (0 to 9) and operations, each an operator of `OPERATORS` and an operand (1 to 9)."""

    theme: str
    start: int
    operations: tuple[tuple[str, int], ...]

    @property
    def kind(self) -> str:
        """What is counted."""
        return self.theme

    @property
    def values(self) -> tuple[int, ...]:
        """The value modulo ten after each operation; the last one is the answer."""
        value, values = self.start, []
        for operator, operand in self.operations:
            value = _apply(value, operator, operand)
            values.append(value)
        return tuple(values)

    @property
    def expression(self) -> str:
        """The chain without its theme, such as 3+4*7-2+5."""
        return str(self.start) + "".join(f"{operator}{operand}" for operator, operand in self.operations)

    @property
    def question(self) -> str:
        """The chain in words."""
        return f"Count {self.theme} left to right, mod ten: {self.expression}=?"

    @property
    def split(self) -> str:
        """`train` or `test`: a keyed hash of the expression, so that it holds for every seed and theme."""
        return "test" if key("chain", "split", self.expression) % _TEST_PART == 0 else "train"

    @property
    def problem(self) -> Problem:
        """The chain as a problem; `metadata` holds the number of steps and the values after each."""
        answer = str(self.values[-1])
        steps, values = len(self.operations), list(self.values)
        return make_problem(self.question, answer, "chain", self.theme, steps=steps, values=values)


_QUESTION = re.compile(rf"Count ({'|'.join(THEMES)}) left to right, mod ten: ([0-9])((?:[+*-][1-9])+)=\?")


def read(question: str) -> Chain | None:
    """The chain that a question asks for, or None where it is not one of this task's questions."""
    found = _QUESTION.fullmatch(question)
    if found is None:
        return None
    theme, start, rest = found.groups()
    return Chain(theme, int(start), tuple((rest[i], int(rest[i + 1])) for i in range(0, len(rest), 2)))


def _apply(value: int, operator: str, operand: int) -> int:
    match operator:
        case "+":
            return (value + operand) % 10
        case "-":
            return (value - operand) % 10
        case _:
            return (value * operand) % 10


def build(*, steps: int = 4, size: int = 1024, seed: int = 0, split: str = "train") -> tuple[Problem, ...]:
    """`size` distinct problems of one split; a smaller size gives the first of a larger one.

    Raises InputError, naming the argument, where fewer than `size` such problems exist.
    """
    return tuple(chain.problem for chain in chains(steps=steps, size=size, seed=seed, split=split))


def chains(*, steps: int, size: int, seed: int, split: str) -> list[Chain]:
    """The chains behind `build`: themes, starts, operators and operands uniform, questions distinct."""
    if steps < 1:
        raise InputError(f"chain: steps must be at least 1, not {steps}")
    if size < 1:
        raise InputError(f"chain: size must be at least 1, not {size}")
    if split not in SPLITS:
        raise InputError(f"chain: split must be one of {', '.join(SPLITS)}, not {split!r}")
    found: dict[Chain, None] = {}
    # 64 draws for each problem that exists leave one unseen with odds of exp(-64): what is missing then does not exist.
    exist = len(THEMES) * 10 * (len(OPERATORS) * 9) ** steps
    blocks = _PATIENCE * min(exist, _TEST_PART * size) // _BLOCK + 2
    for block in range(blocks):
        for chain in _draws(key(seed, "chain", split, steps, block), steps):
            if chain.split == split:
                found[chain] = None
                if len(found) == size:
                    return list(found)
    raise InputError(f"chain: size is {size}, but only {len(found)} {split} problems of {steps} steps exist")


def _draws(seed: int, steps: int) -> Iterator[Chain]:
    """One block of uniformly random chains."""
    sides = np.array([len(THEMES), 10] + [len(OPERATORS), 9] * steps)
    dice = (uniforms(seed, _BLOCK * len(sides)).reshape(_BLOCK, -1) * sides).astype(np.int64)
    for theme, start, *rest in dice.tolist():
        operations = tuple((OPERATORS[rest[i]], 1 + rest[i + 1]) for i in range(0, len(rest), 2))
        yield Chain(THEMES[theme], start, operations)
