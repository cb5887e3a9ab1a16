r"""Does a model know these questions by heart? Wu et al. 2025 (arXiv 2507.10532), and more sensitive measures.

* Partial-prompt completion: the first 40, 60, 80 % of a question, no template, greedy: does the rest come out word for
  word, how much of it in order (ROUGE-L), and is the answer right though a part of the question is missing.
* The log-probability of the rest, instead of whether it is the single most likely one.
* The question against its twins, the same question with other numbers: what a model prefers in the question it has
  read, it does not prefer for its words, its length or its difficulty.
* The question against a reference, a model that cannot have read it: what both find easy cancels. The most sensitive.
* The answer without the question: what the true answer's log-probability, and the greedy answer's accuracy, are when
  there is only a dummy to answer.

Questions suspected to have leaked are best held against others of the same kind that cannot have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spurious.analysis.levels import Level, apart, level
from spurious.analysis.statistics import holm
from spurious.errors import InputError
from spurious.policy import Policy, Row, TorchSampler, encode
from spurious.policy.ask import asker
from spurious.probes.recall import Reading, complete, cut, read, row_logprobs, token_logprobs
from spurious.progress import Progress, quiet
from spurious.specs import SamplingSpec, TaskSpec
from spurious.tasks import Task
from spurious.tasks.base import restated
from spurious.tasks.perturb import perturb

FRACTIONS = (0.4, 0.6, 0.8)
ANSWER_OPENING = r"The answer is \boxed{"
"""What the true answer is put behind, where its log-probability is measured."""

Values = Mapping[str, NDArray[np.float64]]
"""Measure -> one value a problem (the twins' only for problems that have twins)."""


def in_nats(measure: str) -> bool:
    """Whether a measure is a log-probability or a difference of two; the others are shares of 1."""
    return "logprob" in measure or measure in ("twins", "reference")


@dataclass(frozen=True, slots=True)
class Subset:
    """A set of problems and how they are asked."""

    spec: TaskSpec
    task: Task


@dataclass(frozen=True, slots=True)
class Settings:
    """What the probe asks."""

    fractions: tuple[float, ...] = FRACTIONS
    """Of a question's characters, given to be completed; each above 0 and below 1."""
    twins: int = 8
    """Copies with other numbers that each question is held against."""
    dummy: str = "?"
    """The question that stands for none."""
    max_tokens: int = 128
    """Room for an answer."""

    def __post_init__(self) -> None:
        if not self.fractions or any(not 0 < fraction < 1 for fraction in self.fractions):
            raise InputError(f"fraction: each is above 0 and below 1, not {self.fractions}")
        if self.twins < 1:
            raise InputError(f"twins: at least 1, not {self.twins}")


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure, on the suspected problems and on the clean ones."""

    name: str
    suspected: Level
    clean: Level | None
    difference: Level | None
    """Suspected minus clean."""
    p: float | None
    p_holm: float | None
    """Holm's adjusted p over all measures."""


@dataclass(frozen=True, slots=True)
class ContaminationResult:
    """What a model knows by heart."""

    n_suspected: int
    n_clean: int
    settings: Settings
    measures: tuple[Measure, ...]


def contamination(
    policy: Policy,
    suspected: Subset,
    clean: Subset | None,
    seed: int,
    settings: Settings = Settings(),
    *,
    reference: Policy | None = None,
    progress: Progress = quiet,
) -> ContaminationResult:
    """Probe problems that may have leaked and, where there are some, problems like them that cannot have.

    Args:
        policy: The model.
        suspected: Problems in question.
        clean: Problems to compare with.
        seed: Of the twins' numbers.
        settings: What is asked.
        reference: A model that has not read the suspected problems, such as an earlier checkpoint.
        progress: Told of every measure.

    Raises:
        InputError: a set of fewer than two problems, or a question that does not fit the model.
    """
    sets = {"suspected": suspected, **({"clean": clean} if clean else {})}
    for word, subset in sets.items():
        if len(subset.task.problems) < 2:
            raise InputError(f"{word} problems: an interval takes two or more, there is {len(subset.task.problems)}")
    values = {word: _values(policy, reference, subset, seed, settings, word, progress) for word, subset in sets.items()}
    return ContaminationResult(
        n_suspected=len(suspected.task.problems),
        n_clean=len(clean.task.problems) if clean else 0,
        settings=settings,
        measures=_measures(values["suspected"], values.get("clean")),
    )


def _measures(suspected: Values, clean: Values | None) -> tuple[Measure, ...]:
    if clean is None:
        return tuple(Measure(name, _level(name, suspected), None, None, None, None) for name in suspected)
    shared = [name for name in suspected if name in clean]
    differences = {name: apart(suspected[name], clean[name], share=not in_nats(name)) for name in shared}
    adjusted = dict(zip(shared, holm([differences[name][1] for name in shared]), strict=True))
    return tuple(
        Measure(name, _level(name, suspected), _level(name, clean), *differences[name], adjusted[name])
        for name in shared
    )


def _level(name: str, values: Values) -> Level:
    return level(values[name], share=not in_nats(name))


def _values(
    policy: Policy,
    reference: Policy | None,
    subset: Subset,
    seed: int,
    settings: Settings,
    word: str,
    progress: Progress,
) -> dict[str, NDArray[np.float64]]:
    """Every measure of one set of problems."""
    task = subset.task
    template = task.template if task.template != "auto" else "none"
    readings = [read(policy, problem, template) for problem in task.problems]
    own = token_logprobs(policy, readings)
    stages = len(settings.fractions) + 2
    found: dict[str, NDArray[np.float64]] = {}
    for done, fraction in enumerate(settings.fractions, start=1):
        found |= _completions(policy, task, readings, own, fraction, settings.max_tokens)
        progress(f"{word} problems", done, stages, "")
    found |= _against_twins(policy, readings, own, template, seed, settings.twins)
    if reference is not None:
        theirs = token_logprobs(reference, [read(reference, problem, template) for problem in task.problems])
        found["reference"] = np.array([mine.sum() - other.sum() for mine, other in zip(own, theirs, strict=True)])
    progress(f"{word} problems", stages - 1, stages, "")
    found |= _answers(policy, subset, settings)
    progress(f"{word} problems", stages, stages, "")
    return found


def _completions(
    policy: Policy,
    task: Task,
    readings: Sequence[Reading],
    own: Sequence[NDArray[np.float64]],
    fraction: float,
    answer_tokens: int,
) -> dict[str, NDArray[np.float64]]:
    """What comes after a part of each question, and how likely the true rest was."""
    recalled = complete(policy, readings, fraction, answer_tokens)
    grades = task.grade(
        [(one.text, reading.problem) for one, reading in zip(recalled, readings, strict=True)], "lenient"
    )
    places = [cut(policy, reading, fraction) for reading in readings]
    at = f"@{100 * fraction:g}"
    return {
        f"exact{at}": np.array([float(one.exact) for one in recalled]),
        f"rouge{at}": np.array([one.rouge for one in recalled]),
        f"answer{at}": np.array([float(grade.correct) for grade in grades]),
        f"logprob{at}": np.array([values[place - 1 :].mean() for values, place in zip(own, places, strict=True)]),
    }


def _against_twins(
    policy: Policy,
    readings: Sequence[Reading],
    own: Sequence[NDArray[np.float64]],
    template: str,
    seed: int,
    twins: int,
) -> dict[str, NDArray[np.float64]]:
    """By how many nats a question is likelier than its twins are on average; none where too few have numbers."""
    numbered = [
        (values.sum(), [changed.problem for changed in copies if changed is not None])
        for reading, values in zip(readings, own, strict=True)
        if (copies := [perturb(reading.problem, seed, copy) for copy in range(twins)])[0] is not None
    ]
    if len(numbered) < 2:
        return {}
    others = token_logprobs(policy, [read(policy, twin, template) for _, copies in numbered for twin in copies])
    sums = np.array([values.sum() for values in others]).reshape(len(numbered), twins)
    return {"twins": np.array([total for total, _ in numbered]) - sums.mean(axis=1)}


def _answers(policy: Policy, subset: Subset, settings: Settings) -> dict[str, NDArray[np.float64]]:
    """The true answer's log-probability with the question and without it, and the accuracy of answering a dummy."""
    problems = subset.task.problems
    dummies = [restated(problem, settings.dummy) for problem in problems]
    asking = asker(subset.spec, subset.task, policy)
    blind = asking.prompts(dummies[:1])
    sampling = asking.sampling(SamplingSpec(temperature=0, max_tokens=settings.max_tokens))
    (group,) = TorchSampler(policy).sample(blind, 1, sampling, ("probe", "blind"))
    grades = subset.task.grade([(group.texts[0], problem) for problem in problems], "lenient")
    opened = asker(subset.spec.model_copy(update={"prefix": ANSWER_OPENING}), subset.task, policy)
    found = {}
    for name, asked in (("answer logprob", problems), ("answer logprob, no question", dummies)):
        rows = [Row(prompt.token_ids, encode(policy, prompt.problem.answer)) for prompt in opened.prompts(asked)]
        found[name] = np.array([values.sum() for values in row_logprobs(policy, rows)])
    return found | {"answer, no question": np.array([float(grade.correct) for grade in grades])}
