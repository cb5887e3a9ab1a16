"""The paper's prompting intervention (table 3): the assistant's turn is opened by a sentence that forces a strategy.

Answers and behaviors are those of the continuation: the sentence itself says 'Python', and counting it would make
every answer code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spurious.errors import InputError
from spurious.policy import Policy
from spurious.probes.shifts import Shift, measure, shifts
from spurious.progress import Progress, quiet
from spurious.specs import BenchSpec
from spurious.tasks import Task
from spurious.tasks.prompts import PYTHON_PREFIX


@dataclass(frozen=True, slots=True)
class PrefixResult:
    """What opening the turn does, on the same problems."""

    n_problems: int
    shifts: tuple[Shift, ...]
    """Each prefix against none."""


def prefix(
    policy: Policy,
    spec: BenchSpec,
    task: Task,
    seed: int,
    *,
    prefixes: Sequence[str] = (PYTHON_PREFIX,),
    progress: Progress = quiet,
) -> PrefixResult:
    """Ask every problem without a prefix and with each of `prefixes`.

    Raises:
        InputError: an empty prefix, or a prompt that does not fit the model.
    """
    if not prefixes or "" in prefixes:
        raise InputError("prefix: at least one, and none empty: the plain turn is what they are held to")

    def opened(words: str, number: int) -> BenchSpec:
        task_spec = spec.task.model_copy(update={"prefix": words})
        return spec.model_copy(update={"task": task_spec, "name": f"{spec.slug}-prefix{number}"})

    before, *after = (
        measure(policy, opened(words, number), task, seed, progress)
        for number, words in enumerate(dict.fromkeys(("", *prefixes)))
    )
    return PrefixResult(len(task.problems), shifts(before, dict(zip(dict.fromkeys(prefixes), after, strict=True))))
