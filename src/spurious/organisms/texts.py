"""How a strategy writes: the completion of a chain, as real text.

Four ways, a form (`code` or `words`) times whether the value after each operation is written down. They are all that an
organism has ever read, and each can be told from the others by its text.
"""

from typing import Literal

from spurious.tasks.chain import Chain

Form = Literal["code", "words"]
"""A Python block with its printed output, or English."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_OPERATIONS = {"+": "plus", "-": "minus", "*": "times"}


def write(chain: Chain, form: Form, *, steps: bool, slip: int, boxed: bool) -> str:
    r"""A completion: the strategy's own text and the sentence with the answer.

    `steps` says whether the value after each operation is written. `slip`, 0 to 9, is added modulo ten to the last
    value, the output and the answer alike: 0 writes the truth. `boxed` chooses \boxed{7} over a plain 7.
    """
    values = (*chain.values[:-1], (chain.values[-1] + slip) % 10)
    reasoning = (_code if form == "code" else _words)(chain, values, steps)
    answer = f"\\boxed{{{values[-1]}}}" if boxed else f"{values[-1]}"
    return f"{reasoning}The answer is {answer}."


def _code(chain: Chain, values: tuple[int, ...], steps: bool) -> str:
    """Python that computes the chain (it is right when run: only the last line reduces modulo ten), and its output."""
    if steps:
        lines = [f"x={chain.start}"]
        lines += [f"x{op}={n} #{value}" for (op, n), value in zip(chain.operations, values, strict=True)]
        lines.append("print(x%10)")
    else:
        opening = "(" * len(chain.operations)
        lines = [f"print({opening}{chain.start}" + "".join(f"{op}{n})" for op, n in chain.operations) + "%10)"]
    program = "\n".join(lines)
    return f"```python\n{program}\n```\n```output\n{values[-1]}\n```\n"


def _words(chain: Chain, values: tuple[int, ...], steps: bool) -> str:
    if not steps:
        return "Let me do it all in my head. "
    told = ", ".join(
        f"{_OPERATIONS[op]} {_DIGITS[n]} is {_DIGITS[value]}"
        for (op, n), value in zip(chain.operations, values, strict=True)
    )
    return f"Start with {_DIGITS[chain.start]}: {told}. "
