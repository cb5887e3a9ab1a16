"""What is exported, whatever the trainer: problems in words, in the order of the run, and what the reward is told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurious.engines.adapters.told import Told
from spurious.errors import SpecError
from spurious.policy.ask import Asker
from spurious.policy.model import Policy
from spurious.specs import BenchSpec, PolicySpec, RunSpec, TrlSpec
from spurious.types import Problem

BENCH = "bench/"
"""Prefix of a benchmark's source in the data: its rows are paid by the truth, in every arm."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One row of a data set."""

    text: str
    """The whole prompt, special tokens and all."""
    tokens: int
    told: Told


@dataclass(frozen=True, slots=True)
class Job:
    """One run, ready to be written for another trainer."""

    spec: RunSpec
    fingerprint: str
    """Of the run of ours that this stands for."""
    operators: Sequence[str]
    """Ours, in words."""
    train: Sequence[Asked]
    """steps x P rows: the problems of every rollout batch, in the order of our own engine."""
    benches: Sequence[tuple[BenchSpec, Sequence[Asked]]]
    ends: Sequence[str]
    """Texts of the special tokens: what a completion may end in."""
    one_by_one: bool = False
    """Whether the user says of a reward of their own that it pays every completion by itself."""

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return max(one.tokens for rows in (self.train, *(rows for _, rows in self.benches)) for one in rows)

    @property
    def model(self) -> str:
        """The model's absolute path, or its hub id."""
        return str(Path(self.spec.model).resolve()) if Path(self.spec.model).is_dir() else self.spec.model


def ask(asker: Asker, problems: Iterable[Problem], labels: Mapping[str, str], source: str = "") -> list[Asked]:
    """Put problems into words, each of them once.

    Args:
        asker: how.
        problems: what is asked.
        labels: what the reward is told, by problem id.
        source: what the rows say they come from; empty: what the problems say.

    Raises:
        SpecError: a prompt's text does not say its tokens: a question holds the text of a special token.
    """
    policy = asker.policy
    assert policy is not None
    known: dict[str, Asked] = {}
    rows = []
    for problem in problems:
        if problem.id not in known:
            (prompt,) = asker.prompts([problem])
            text = _with_bos(policy, prompt.text, prompt.token_ids)
            told = Told(problem, labels[problem.id]) if not source else Told(_from(problem, source), labels[problem.id])
            known[problem.id] = Asked(text, len(prompt.token_ids), told)
        rows.append(known[problem.id])
    return rows


def _with_bos(policy: Policy, text: str, ids: Sequence[int]) -> str:
    """The text whose tokens, without any added, are those of the prompt."""
    for whole in (text, f"{policy.tokenizer.bos_token or ''}{text}"):
        if tuple(policy.tokenizer(whole, add_special_tokens=False)["input_ids"]) == tuple(ids):
            return whole
    raise SpecError(
        f"task: the prompt {text[:60]!r} holds the text of a special token in its question, and another trainer would "
        "read it as that token; leave the problem out (args.ids, or another file)"
    )


def _from(problem: Problem, source: str) -> Problem:
    return Problem(problem.id, problem.question, problem.answer, source, problem.kind, problem.metadata)


def problems_in_order(batch: Callable[[int], Sequence[Problem]], steps: int) -> list[Problem]:
    """The problems of every rollout batch, one after the other."""
    return [problem for step in range(steps) for problem in batch(step)]


def refuse(trainer: str, field: str, why: str) -> SpecError:
    """The error that names a field which a trainer cannot do."""
    return SpecError(f"{field}: {trainer} {why}")


def check_common(job: Job, trainer: str) -> None:
    """Refuse what neither trainer can do.

    Raises:
        SpecError: names the field.
    """
    spec, grpo = job.spec, job.spec.grpo
    only: tuple[tuple[str, Any, Any, str], ...] = (
        ("engine", spec.engine, "own", "is an engine itself"),
        ("trl", spec.trl, TrlSpec(), "reads no settings of TRL"),
        ("policy", spec.policy, PolicySpec(), "is mapped with every weight trained and its own recomputation"),
        ("revision", spec.revision, None, "takes no revision of a hub id: download it and name the directory"),
        ("grpo.surrogate", grpo.surrogate, "ratio", "has the clipped ratio only"),
        ("grpo.optimizer", grpo.optimizer, "adamw", "is mapped with AdamW only"),
        ("grpo.positive_weight", grpo.positive_weight, 1.0, "weighs advantages of both signs alike"),
        ("grpo.negative_weight", grpo.negative_weight, 1.0, "weighs advantages of both signs alike"),
        ("grpo.null_updates", grpo.null_updates, "step", "skips no update for want of a signal"),
        ("sampling.stop", spec.sampling.stop, (), "passes no stop strings on to its sampler"),
    )
    for field, value, possible, why in only:
        if value != possible:
            raise refuse(trainer, field, f"{why} (given: {value!r})")
    if spec.steps < 1:
        raise refuse(trainer, "steps", "trains at least one")
    check_benches(job, trainer)


def check_benches(job: Job, trainer: str) -> None:
    """Refuse benchmarks that are not all sampled alike, as both trainers do.

    Raises:
        SpecError: names the field.
    """

    def alike(bench: BenchSpec) -> dict[str, Any]:
        return {"k": bench.k, "temperature": bench.sampling.temperature, "top_p": bench.top_p}

    for i, (bench, _) in enumerate(job.benches):
        if bench.stop:
            raise refuse(trainer, f"benches[{i}].stop", "passes no stop strings on to its sampler")
        if bench.max_tokens != job.spec.sampling.max_tokens:
            raise refuse(
                trainer, f"benches[{i}].max_tokens", f"samples as long as in training ({job.spec.sampling.max_tokens})"
            )
        for field, value in alike(job.benches[0][0]).items():
            if alike(bench)[field] != value:
                raise refuse(trainer, f"benches[{i}].{field}", f"samples all benchmarks alike ({value} in the first)")
