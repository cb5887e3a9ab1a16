"""What many runs are prepared from is read once, and what depends on the seed is not shared between seeds."""

from spurious.grpo.arm import Inputs
from spurious.signals import build_labels
from spurious.specs import LabelSpec, RunSpec, TaskSpec

TASK = TaskSpec(name="chain", args={"size": 40})


def told(sources: Inputs, label: LabelSpec, seed: int, task: TaskSpec = TASK):
    fields = {"model": "none", "task": task, "label": label, "reward": "ground_truth", "steps": 1, "seed": seed}
    return sources.labeling(RunSpec.model_validate(fields))


def test_runs_that_are_told_the_same_share_it():
    sources = Inputs(None)
    first = told(sources, LabelSpec(name="noise", args={"p": 0.5}), 101)
    assert told(sources, LabelSpec(name="noise", args={"p": 0.5}), 101) is first
    assert first == build_labels(LabelSpec(name="noise", args={"p": 0.5}), sources.task(TASK).problems, 101)


def test_another_seed_label_or_task_is_told_something_else():
    sources = Inputs(None)
    first = told(sources, LabelSpec(name="noise", args={"p": 0.5}), 101)
    others = (
        told(sources, LabelSpec(name="noise", args={"p": 0.5}), 102),
        told(sources, LabelSpec(name="noise", args={"p": 0.25}), 101),
        told(sources, LabelSpec(), 101),
        told(sources, LabelSpec(name="noise", args={"p": 0.5}), 101, TaskSpec(name="chain", args={"size": 41})),
    )
    assert len({first.digest, *(other.digest for other in others)}) == 5
