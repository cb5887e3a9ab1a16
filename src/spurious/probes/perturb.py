"""The same problems with other numbers: a skill carries over, an answer known by heart does not.

Accuracy is compared only where every new answer was computed (`chain`, `calculation`); elsewhere the new answers are
unknown, and only what the model does (code, boxes, length) is compared.
"""

from dataclasses import dataclass

from spurious.policy import Policy
from spurious.probes.shifts import METRICS, Shift, instead, measure, shifts
from spurious.progress import Progress, quiet
from spurious.specs import BenchSpec
from spurious.tasks import Task
from spurious.tasks.perturb import perturb as other_numbers


@dataclass(frozen=True, slots=True)
class PerturbResult:
    """What changing the numbers does, problem by problem."""

    n_problems: int
    left_out: tuple[str, ...]
    """Ids of problems without a number to change."""
    golds_recomputed: bool
    """Whether every new answer was computed; where not, accuracy is not compared."""
    example: tuple[str, str]
    """The first question and what became of it."""
    shifts: tuple[Shift, ...]


def perturb(policy: Policy, spec: BenchSpec, task: Task, seed: int, *, progress: Progress = quiet) -> PerturbResult:
    """Ask every problem as it is and with other numbers; which ones is keyed by the seed and the problem.

    Raises:
        InputError: no problem has a number to change, or a prompt does not fit the model.
    """
    found = {problem.id: other_numbers(problem, seed) for problem in task.problems}
    pairs = [(problem, changed) for problem in task.problems if (changed := found[problem.id]) is not None]
    exact = all(changed.exact for _, changed in pairs)
    old = instead(task, [problem for problem, _ in pairs])
    new = instead(task, [changed.problem for _, changed in pairs])
    before = measure(policy, spec, old, seed, progress)
    after = measure(policy, spec.model_copy(update={"name": f"{spec.slug}-perturbed"}), new, seed, progress)
    metrics = [metric for metric in METRICS if exact or metric != "accuracy"]
    return PerturbResult(
        n_problems=len(pairs),
        left_out=tuple(problem.id for problem in task.problems if found[problem.id] is None),
        golds_recomputed=exact,
        example=(old.problems[0].question, new.problems[0].question),
        shifts=shifts(before, {"other numbers": after}, metrics),
    )
