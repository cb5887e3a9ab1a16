"""Which template elicits most, without training: the reference that a gain from training has to beat.

The best of many templates looks better than it is, because it was chosen by the problems it is judged on. So it is
chosen on one half of the problems and reported on the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurious.analysis.levels import Change, Level, change, level
from spurious.errors import InputError
from spurious.keys import key, permutation
from spurious.policy import Policy, TorchSampler
from spurious.policy.ask import asker
from spurious.probes.shifts import Outcomes, Shift, measure, shifts
from spurious.progress import Progress, quiet
from spurious.specs import BenchSpec
from spurious.tasks import Task
from spurious.tasks.prompts import TEMPLATES


@dataclass(frozen=True, slots=True)
class Best:
    """The best template, by accuracy, and how good it is on problems that had no part in choosing it."""

    template: str
    """Chosen on one half; among equals the default, then the first."""
    chosen_on: int
    """Problems in that half."""
    accuracy: Level
    """On the other half."""
    change: Change
    """Accuracy there, against the default template."""
    uncorrected: tuple[str, float]
    """The best on all problems and its accuracy there: what a report without this correction would say."""


@dataclass(frozen=True, slots=True)
class PromptsResult:
    """Every template on the same problems."""

    default: str
    levels: dict[str, dict[str, Level]]
    """template -> metric -> level."""
    shifts: tuple[Shift, ...]
    """Each other template against the default, paired by problem."""
    best: Best
    refused: dict[str, str]
    """Templates that this model cannot be asked with, and why."""


def prompts(
    policy: Policy,
    spec: BenchSpec,
    task: Task,
    seed: int,
    *,
    templates: Sequence[str] = (),
    progress: Progress = quiet,
) -> PromptsResult:
    """Ask the same problems in the words of every template, and hold each against the default.

    Args:
        policy: The model.
        spec: The benchmark; its template is the default, `auto` as everywhere.
        task: Its problems, at least two.
        seed: Of the samples (where they are drawn) and of the halves.
        templates: Those to try beside the default; none means all, and then those that do not suit the model are
            listed as refused instead of being an error.
        progress: Told of every problem.

    Raises:
        InputError: fewer than two problems; a template that was asked for, or the default, does not suit the model.
    """
    if len(task.problems) < 2:
        raise InputError(f"task {task.name}: choosing a template on one half of the problems takes two or more")
    default = asker(spec.task, task, policy).template
    found: dict[str, Outcomes] = {}
    refused: dict[str, str] = {}
    for template in dict.fromkeys((default, *(templates or TEMPLATES))):
        one = spec.model_copy(update={"task": spec.task.model_copy(update={"template": template}), "name": template})
        try:
            _check(policy, one, task)
        except InputError as error:
            if templates or template == default:
                raise InputError(f"template {template}: {error}") from error
            refused[template] = str(error)
        else:
            found[template] = measure(policy, one, task, seed, progress)
    others = {template: outcomes for template, outcomes in found.items() if template != default}
    return PromptsResult(
        default=default,
        levels={
            template: {metric: level(values) for metric, values in outcomes.items()}
            for template, outcomes in found.items()
        },
        shifts=shifts(found[default], others),
        best=choose({template: outcomes["accuracy"] for template, outcomes in found.items()}, default, seed),
        refused=refused,
    )


def choose(accuracies: Mapping[str, NDArray[np.float64]], default: str, seed: int) -> Best:
    """The best template chosen on a random half of the problems, judged on the other; `accuracies` is by problem."""
    order = permutation(key(seed, "probe", "prompts", "halves"), len(accuracies[default]))
    half = len(order) // 2
    first, second = order[:half], order[half:]
    ranked = [default, *(template for template in accuracies if template != default)]
    template = max(ranked, key=lambda name: float(accuracies[name][first].mean()))
    top = max(ranked, key=lambda name: float(accuracies[name].mean()))
    return Best(
        template=template,
        chosen_on=half,
        accuracy=level(accuracies[template][second]),
        change=change(accuracies[default][second], accuracies[template][second]),
        uncorrected=(top, float(accuracies[top].mean())),
    )


def _check(policy: Policy, spec: BenchSpec, task: Task) -> None:
    """Refuse a template that needs what the tokenizer lacks, or whose prompts do not fit."""
    asking = asker(spec.task, task, policy)
    TorchSampler(policy).check(asking.prompts(task.problems), asking.sampling(spec.sampling))
