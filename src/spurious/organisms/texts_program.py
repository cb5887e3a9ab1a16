"""How a strategy answers what a program prints: the completion, as real text.

A form (`trace` or `words`) times whether the string after every line is written down. A trace that does
not write them all breaks off after the second line.
"""

from typing import Literal

from spurious.tasks.program import Program

Form = Literal["trace", "words"]
"""The value after each numbered line, or English."""


def write(program: Program, form: Form, *, steps: bool, slip: int, boxed: bool) -> str:
    r"""A completion: the strategy's own text and the sentence with the answer.

    `steps` says whether the value after each line is written. `slip`, 0 to 9, is added modulo ten to the
    last digit of what is printed: 0 writes the truth. `boxed` chooses \boxed{3142} over a plain 3142.
    """
    printed = program.values[-1]
    printed = printed[:-1] + str((int(printed[-1]) + slip) % 10)
    values = (*program.values[:-1], printed)
    reasoning = (_trace if form == "trace" else _words)(program.name, values, steps)
    shown = f"\\boxed{{{printed}}}" if boxed else printed
    return f"{reasoning}The answer is {shown}."


def _trace(name: str, values: tuple[str, ...], steps: bool) -> str:
    lines = [f"{number} {name}='{value}'\n" for number, value in enumerate(values if steps else values[:2], 1)]
    return "".join(lines) if steps else "".join([*lines, "and so on.\n"])


def _words(name: str, values: tuple[str, ...], steps: bool) -> str:
    if not steps:
        return "I see it at a glance. "
    return f"It starts as {', becomes '.join(values)}. "
