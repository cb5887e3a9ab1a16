"""What a specification means: its task, labels, reward and benchmarks, loaded and checked before any training."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from spurious.errors import SpecError
from spurious.grpo.operators import effective_operators
from spurious.keys import key, permutation
from spurious.signals import BuiltReward, Labeling, build_labels, build_reward
from spurious.specs import BenchSpec, RunSpec, TaskSpec
from spurious.store import Identity, fingerprint, model_digest
from spurious.store.environment import environment
from spurious.tasks import Task, load_bench, load_task
from spurious.types import Problem
from spurious.verify import GRADER_VERSION


@dataclass(frozen=True)
class Arm:
    """One run's inputs, ready for the loop."""

    spec: RunSpec
    task: Task
    kept: tuple[Problem, ...]
    """The problems that the label transform keeps."""
    labels: Mapping[str, str]
    """Problem id to what the reward is told."""
    reward: BuiltReward
    benches: tuple[tuple[BenchSpec, Task], ...]
    identity: Identity

    @property
    def needs_confidence(self) -> bool:
        """Whether the reward reads what only a sampler that looks at whole distributions can tell."""
        return bool(self.reward.needs & {"entropies", "self_certainties"})

    @property
    def directory_name(self) -> str:
        """`<arm>--<model>--s<seed>--<fingerprint>`, for people; the fingerprint is what tells runs apart."""
        label = "" if self.spec.label.name == "true" else f"-on-{self.spec.label.name}"
        model = _model_name(PurePath(self.spec.model))
        return f"{self.reward.name}{label}--{model}--s{self.spec.seed}--{self.identity.fingerprint}"

    @property
    def repeatable(self) -> bool:
        """Whether the code that runs is known, so that what it makes from the same inputs need not be made again."""
        commit = self.identity.facts["environment"]["commit"]
        return commit is None or not commit["dirty"]

    def untrained(self, bench: BenchSpec) -> Mapping[str, Any]:
        """Everything that the untrained model's answers to a benchmark depend on."""
        inputs = self.identity.inputs
        return {
            "model": inputs["model"],
            "dtype": self.spec.dtype,
            "bench": bench.model_dump(mode="json"),
            "problems": inputs[f"bench/{bench.slug}"],
            "grader": inputs["grader"],
            "seed": self.spec.seed if bench.sampling.temperature > 0 else None,
            "environment": self.identity.facts["environment"],
        }

    def problems(self, step: int) -> list[Problem]:
        """The P problems of a rollout batch: passes over the kept problems, each in its own keyed order.

        With fewer problems than P a batch holds several copies of one (one-shot training is a set of one problem).
        """
        size, first = len(self.kept), step * self.spec.grpo.prompts_per_rollout
        places = range(first, first + self.spec.grpo.prompts_per_rollout)
        return [self.kept[_order(self.spec.seed, place // size, size)[place % size]] for place in places]


def _model_name(model: PurePath) -> str:
    """A model's own name; that of a run's checkpoint is the run's fingerprint and the step."""
    if model.parent.name != "checkpoints":
        return model.name
    return f"{model.parent.parent.name.rpartition('--')[2]}-{model.name}"


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> tuple[int, ...]:
    return tuple(permutation(key(seed, "problems", epoch), size))


class Inputs:
    """What specifications point to, each read once: the many runs of a study are prepared from the same few tasks."""

    def __init__(self, data_dir: Path | None) -> None:
        """`data_dir` holds local copies of data sets; None: they come from the hub."""
        self._data_dir = data_dir
        self._tasks: dict[str, Task] = {}
        self._labelings: dict[tuple[str, str, int], Labeling] = {}
        self._benches: dict[str, tuple[BenchSpec, Task]] = {}
        self._models: dict[tuple[str, str | None], str] = {}

    def task(self, spec: TaskSpec) -> Task:
        """The checked task of a specification."""
        name = spec.model_dump_json()
        if name not in self._tasks:
            self._tasks[name] = load_task(spec, data_dir=self._data_dir)
        return self._tasks[name]

    def labeling(self, spec: RunSpec) -> Labeling:
        """What the reward of a run is told."""
        name = spec.label.model_dump_json(), spec.task.model_dump_json(), spec.seed
        if name not in self._labelings:
            self._labelings[name] = build_labels(spec.label, self.task(spec.task).problems, spec.seed)
        return self._labelings[name]

    def bench(self, spec: BenchSpec) -> tuple[BenchSpec, Task]:
        """The completed specification of a benchmark, and its checked task."""
        name = spec.model_dump_json()
        if name not in self._benches:
            self._benches[name] = load_bench(spec, data_dir=self._data_dir)
        return self._benches[name]

    def model_digest(self, source: str, revision: str | None) -> str:
        """What a model is, as `spurious.store.model_digest` says it."""
        name = source, revision
        if name not in self._models:
            self._models[name] = model_digest(source, revision)
        return self._models[name]


def prepare(spec: RunSpec, sources: Inputs, process: Mapping[str, Any]) -> Arm:
    """Load and check everything a run needs besides its model.

    Raises:
        InputError: whatever is wrong with the task, the labels, the reward, a benchmark or the model's directory.
    """
    if spec.sampling.temperature == 0:
        raise SpecError("sampling.temperature: training needs samples that differ, so a temperature above 0")
    reward = build_reward(spec.reward)
    task = sources.task(spec.task)
    labeling = sources.labeling(spec)
    benches = tuple(sources.bench(bench) for bench in spec.benches)
    inputs = {
        "model": sources.model_digest(spec.model, spec.revision),
        "task": task.digest,
        "labels": labeling.digest,
        "reward": reward.digest,
        "grader": GRADER_VERSION,
        **{f"bench/{bench.slug}": problems.digest for bench, problems in benches},
    }
    facts = {
        "operators": effective_operators(spec.grpo, spec.policy),
        "reward_source": reward.source,
        "task_source": task.source,
        "labels": {"kept": len(labeling.problems), "of": len(task.problems), "dropped": dict(labeling.dropped)},
        "environment": {**environment(), **process},
    }
    identity = Identity(fingerprint(spec, inputs), spec.model_dump(mode="json"), inputs, facts)
    return Arm(spec, task, tuple(labeling.problems), labeling.labels, reward, benches, identity)
