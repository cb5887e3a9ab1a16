"""The same problems in words that no corpus holds; the true answers stay."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spurious.errors import InputError
from spurious.policy import Policy
from spurious.probes.shifts import METRICS, Shift, instead, measure, shifts
from spurious.progress import Progress, quiet
from spurious.specs import BenchSpec
from spurious.tasks import Task
from spurious.tasks.reword import rewordings
from spurious.types import Problem


@dataclass(frozen=True, slots=True)
class RenarrateResult:
    """What other words do, problem by problem."""

    n_problems: int
    left_out: int
    """Problems that there are no other words for."""
    examples: dict[str, tuple[str, str]]
    """wording -> the first question and what became of it."""
    shifts: tuple[Shift, ...]
    """Each wording against the task's own, and `all wordings`, the mean over them, where there are several."""


def renarrate(
    policy: Policy,
    spec: BenchSpec,
    task: Task,
    seed: int,
    *,
    pairs: Mapping[str, Problem] | None = None,
    progress: Progress = quiet,
) -> RenarrateResult:
    """Ask every problem in its own words and in each of the others.

    Args:
        policy: The model.
        spec: The benchmark.
        task: Its problems.
        seed: Of the samples, where they are drawn.
        pairs: Problems in new words by the id of the old one (`spurious.tasks.reword.read_pairs`), instead of the
            built-in wordings of `chain` and `calculation`.
        progress: Told of every problem.

    Raises:
        InputError: there are no other words for any problem, or a prompt does not fit the model.
    """
    if pairs is not None:
        told = {problem.id: {"pairs": pairs[problem.id]} for problem in task.problems if problem.id in pairs}
    else:
        told = {problem.id: words for problem in task.problems if (words := rewordings(problem))}
    if not told:
        raise InputError(
            f"task {task.name}: no other words are built in for its problems; --pairs FILE gives them, a row a problem"
        )
    names = list(next(iter(told.values())))
    if any(list(words) != names for words in told.values()):
        raise InputError(f"task {task.name}: its problems are of several kinds that have different wordings")
    old = instead(task, [problem for problem in task.problems if problem.id in told])
    before = measure(policy, spec, old, seed, progress)
    new = {name: instead(task, [told[problem.id][name] for problem in old.problems]) for name in names}
    after = {
        name: measure(policy, spec.model_copy(update={"name": f"{spec.slug}-{name}"}), reworded, seed, progress)
        for name, reworded in new.items()
    }
    if len(after) > 1:
        after["all wordings"] = {
            metric: np.mean([outcomes[metric] for outcomes in after.values()], axis=0) for metric in METRICS
        }
    return RenarrateResult(
        n_problems=len(old.problems),
        left_out=len(task.problems) - len(old.problems),
        examples={name: (old.problems[0].question, new[name].problems[0].question) for name in names},
        shifts=shifts(before, after),
    )
