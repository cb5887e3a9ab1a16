"""The organisms' programs: what does a short Python program on a string of digits print?

    What does this print?
    1 key='3142'
    2 key=key[::-1]
    3 if key[0]<key[-1]: key=key[1:]+key[0]
    4 if key[0]<key[-1]: key='7'+key[1:]
    5 print(key)

The string is 2413 after line 2 and 4132 after line 3; line 4 changes nothing. The difficulty is the number of lines
between the first and the last, three here; each is executed once, a branch whether it is taken or not. The variable's
name, one of eight, is the problem's kind: it changes nothing. No program belongs to both splits, whatever its variable
is called and whatever the seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spurious.errors import InputError
from spurious.keys import key, uniforms
from spurious.tasks.base import make_problem
from spurious.types import Problem

NAMES = ("key", "tag", "row", "pin", "bar", "lot", "mix", "end")
"""What the variable is called: the kinds of the task."""

SPLITS = ("train", "test")

MOVES = ("reverse", "left", "right")
"""What a line does: the string backward, its first digit to the end, its last to the front. It may instead put another
digit in the place of the first."""

GUARDS = ("", "<", ">")
"""Whether a line is a branch, taken only if the first digit is less or more than the last."""

LENGTH = 4
"""Digits of the string."""

_TEST_PART = 8  # one program in eight is held out
_BLOCK = 4096
_PATIENCE = 64
_DIGITS = 9  # 1 to 9: a printed string never starts with a zero


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a program."""

    guard: str
    """One of `GUARDS`."""
    move: str
    """One of `MOVES`, or the digit that is put first."""

    def code(self, name: str) -> str:
        """The line in Python, on the variable of that name."""
        match self.move:
            case "reverse":
                value = f"{name}[::-1]"
            case "left":
                value = f"{name}[1:]+{name}[0]"
            case "right":
                value = f"{name}[-1]+{name}[:-1]"
            case digit:
                value = f"'{digit}'+{name}[1:]"
        opening = f"if {name}[0]{self.guard}{name}[-1]: " if self.guard else ""
        return f"{opening}{name}={value}"

    def run(self, value: str) -> str:
        """The string after the line."""
        if (self.guard == "<" and not value[0] < value[-1]) or (self.guard == ">" and not value[0] > value[-1]):
            return value
        match self.move:
            case "reverse":
                return value[::-1]
            case "left":
                return value[1:] + value[0]
            case "right":
                return value[-1] + value[:-1]
            case digit:
                return digit + value[1:]


@dataclass(frozen=True, slots=True)
class Program:
    """A variable's name, its first value (four different digits, 1 to 9), and the lines that change it."""

    name: str
    start: str
    lines: tuple[Line, ...]

    @property
    def kind(self) -> str:
        """The variable's name."""
        return self.name

    @property
    def values(self) -> tuple[str, ...]:
        """The string after each line, the first assignment included; the last one is printed."""
        values = [self.start]
        for line in self.lines:
            values.append(line.run(values[-1]))
        return tuple(values)

    @property
    def source(self) -> str:
        """The program itself, without its last line break."""
        body = [line.code(self.name) for line in self.lines]
        return "\n".join([f"{self.name}='{self.start}'", *body, f"print({self.name})"])

    @property
    def question(self) -> str:
        """The program with numbered lines, and the question before it."""
        listing = [f"{number} {line}" for number, line in enumerate(self.source.split("\n"), 1)]
        return "\n".join(["What does this print?", *listing])

    @property
    def split(self) -> str:
        """`train` or `test`: a keyed hash of everything but the variable's name."""
        content = [self.start, *(f"{line.guard} {line.move}" for line in self.lines)]
        return "test" if key("program", "split", *content) % _TEST_PART == 0 else "train"

    @property
    def problem(self) -> Problem:
        """The program as a problem; `metadata` holds the number of lines and the values."""
        values = list(self.values)
        return make_problem(self.question, values[-1], "program", self.name, steps=len(values) - 1, values=values)


def build(*, steps: int = 3, size: int = 1024, seed: int = 0, split: str = "train") -> tuple[Problem, ...]:
    """`size` distinct problems of one split; a smaller size gives the first of a larger one.

    Raises InputError, naming the argument, where fewer than `size` such problems exist.
    """
    return tuple(program.problem for program in programs(steps=steps, size=size, seed=seed, split=split))


def programs(*, steps: int, size: int, seed: int, split: str) -> list[Program]:
    """The programs behind `build`, all distinct: names, digits, guards and moves drawn independently."""
    if steps < 1:
        raise InputError(f"program: steps must be at least 1, not {steps}")
    if size < 1:
        raise InputError(f"program: size must be at least 1, not {size}")
    if split not in SPLITS:
        raise InputError(f"program: split must be one of {', '.join(SPLITS)}, not {split!r}")
    found: dict[Program, None] = {}
    for block in range(_PATIENCE * _TEST_PART * size // _BLOCK + 2):
        for program in _draws(key(seed, "program", split, steps, block), steps):
            if program.split == split:
                found[program] = None
                if len(found) == size:
                    return list(found)
    raise InputError(f"program: size is {size}, but only {len(found)} {split} problems of {steps} steps were found")


def _draws(seed: int, steps: int) -> Iterator[Program]:
    """One block of random programs."""
    sides = np.array(
        [len(NAMES), *range(_DIGITS, _DIGITS - LENGTH, -1)] + [len(GUARDS), len(MOVES) + 1, _DIGITS] * steps
    )
    dice = (uniforms(seed, _BLOCK * len(sides)).reshape(_BLOCK, -1) * sides).astype(np.int64)
    for name, *rest in dice.tolist():
        left = [str(digit) for digit in range(1, _DIGITS + 1)]
        start = "".join(left.pop(place) for place in rest[:LENGTH])
        thrown = rest[LENGTH:]
        lines = (
            Line(GUARDS[guard], (*MOVES, str(1 + digit))[move])
            for guard, move, digit in zip(thrown[::3], thrown[1::3], thrown[2::3], strict=True)
        )
        yield Program(NAMES[name], start, tuple(lines))
