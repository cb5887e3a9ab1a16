"""The outcomes of one bench problem by problem, and what a change does to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurious.analysis import outcome
from spurious.analysis.levels import Change, change
from spurious.analysis.statistics import holm
from spurious.errors import InputError
from spurious.evaluate import evaluate, open_bench
from spurious.policy import Policy, TorchSampler
from spurious.progress import Progress, quiet
from spurious.specs import BenchSpec
from spurious.tasks import Task
from spurious.types import Problem

METRICS = {
    "accuracy": "accuracy",
    "code": "behavior/code_reasoning",
    "boxed": "behavior/boxed",
    "tokens": "tokens",
}
"""What is measured, and the outcome of a completion row that it is. All are of the completion, never of the prompt."""

Outcomes = Mapping[str, NDArray[np.float64]]
"""Each of `METRICS` -> (problems,) means over a problem's samples, in the order of the problems."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What one change did to one metric."""

    name: str
    """The change: a prefix, a wording, a template."""
    metric: str
    change: Change
    p_holm: float
    """Holm's adjusted p over all changes of this metric."""


def measure(policy: Policy, spec: BenchSpec, task: Task, seed: int, progress: Progress = quiet) -> Outcomes:
    """Ask every problem and measure the answers.

    Raises:
        InputError: a prompt does not fit the model's positions, the template does not suit the tokenizer.
    """
    rows = evaluate(TorchSampler(policy), open_bench(spec, task, policy), seed, progress=progress)
    return {
        name: rows.select(outcome(metric)).to_series().to_numpy().reshape(len(task.problems), spec.k).mean(axis=1)
        for name, metric in METRICS.items()
    }


def shifts(
    before: Outcomes, after: Mapping[str, Outcomes], metrics: Sequence[str] = tuple(METRICS)
) -> tuple[Shift, ...]:
    """What each change did to each metric, changes in their order; Holm over the changes of a metric."""
    found = {
        (name, metric): change(before[metric], outcomes[metric])
        for name, outcomes in after.items()
        for metric in metrics
    }
    adjusted = {
        metric: dict(zip(after, holm([found[name, metric].p for name in after]), strict=True)) for metric in metrics
    }
    return tuple(Shift(name, metric, found[name, metric], adjusted[metric][name]) for name, metric in found)


def instead(task: Task, problems: Sequence[Problem]) -> Task:
    """The task with other problems, asked and graded as before.

    Raises:
        InputError: there are none.
    """
    if not problems:
        raise InputError(f"task {task.name}: no problem is left to ask")
    return Task(task.name, tuple(problems), task.template, task.source, task.grade)
