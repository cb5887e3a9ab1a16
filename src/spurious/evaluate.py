"""Evaluation: a sampler and a benchmark in, completion rows out.

The draws are keyed by the seed, the problem and the sample alone, so every checkpoint and every arm of one seed is
evaluated under the same noise and their differences are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from spurious.behaviors import measure
from spurious.policy import Policy, Sampler
from spurious.policy.ask import Asker, asker
from spurious.progress import Progress, quiet
from spurious.specs import BenchSpec
from spurious.store.journal import Journal
from spurious.store.tables import BEHAVIOR, COMPLETION_COLUMNS, frame
from spurious.tasks import Task
from spurious.types import Completion, Grade, Group, Prompt
from spurious.verify import verify_many


@dataclass(frozen=True)
class Bench:
    """A benchmark ready to run: its specification, its problems and how they are asked."""

    spec: BenchSpec
    task: Task
    asker: Asker


def open_bench(spec: BenchSpec, task: Task, policy: Policy | None) -> Bench:
    """Put a benchmark into the words of a policy, or of a server's model where `policy` is None."""
    return Bench(spec, task, asker(spec.task, task, policy))


def evaluate(
    sampler: Sampler,
    bench: Bench,
    seed: int,
    *,
    step: int = 0,
    journal: Journal | None = None,
    progress: Progress = quiet,
) -> pl.DataFrame:
    """Sample k completions of every problem and grade them; the columns are `COMPLETION_COLUMNS` and the behaviors.

    Args:
        sampler: the policy in process, or a server.
        bench: what is asked.
        seed: the run's seed.
        step: written into the rows.
        journal: keeps groups as they come; those it already has are not sampled again.
        progress: told of every group.
    """
    prompts = bench.asker.prompts(bench.task.problems)
    done = {_place(group.prompt): group for group in (journal.done(prompts) if journal else ())}
    missing = [prompt for prompt in prompts if _place(prompt) not in done]

    def keep(_: int, group: Group) -> None:
        if journal:
            journal.add(group)
        done[_place(group.prompt)] = group
        progress(f"evaluate {bench.spec.slug}", len(done), len(prompts), "")

    scope = (seed, "eval", bench.task.digest)
    sampler.sample(missing, bench.spec.k, bench.asker.sampling(bench.spec.sampling), scope, on_group=keep)
    groups = [done[_place(prompt)] for prompt in prompts]
    lenient, strict = grade_groups(bench.task, groups)
    rows = [
        completion_row(step, group, i, lenient[p][i], strict[p][i])
        for p, group in enumerate(groups)
        for i in range(len(group.completions))
    ]
    return frame(rows, COMPLETION_COLUMNS)


def _place(prompt: Prompt) -> tuple[str, int]:
    return prompt.problem.id, prompt.copy


def second_opinion(rows: pl.DataFrame) -> dict[str, Any]:
    """Grade mathematical rows once more by math-verify alone: its accuracy, and where it disagrees with ours."""
    pairs = list(zip(rows["text"], rows["answer"], strict=True))
    others = verify_many(pairs, grader="math_verify")
    differing = [
        {"problem_id": row["problem_id"], "sample": row["sample"], "ours": row["grade"], "theirs": other.status}
        for row, other in zip(rows.iter_rows(named=True), others, strict=True)
        if (row["grade"] == "correct") != other.correct
    ]
    return {
        "grader": "math_verify",
        "accuracy": sum(other.correct for other in others) / len(others),
        "disagreement": len(differing) / len(others),
        "differing": differing,
    }


def grade_groups(task: Task, groups: Sequence[Group]) -> tuple[list[tuple[Grade, ...]], list[tuple[Grade, ...]]]:
    """What is true of every completion, by lenient and by strict extraction: two lists with one tuple a group."""
    pairs = [(text, group.prompt.problem) for group in groups for text in group.texts]
    lenient, strict = iter(task.grade(pairs, "lenient")), iter(task.grade(pairs, "strict"))
    sizes = [len(group.completions) for group in groups]
    return (
        [tuple(next(lenient) for _ in range(size)) for size in sizes],
        [tuple(next(strict) for _ in range(size)) for size in sizes],
    )


def completion_row(step: int, group: Group, sample: int, grade: Grade, strict: Grade) -> Mapping[str, Any]:
    """One row of `COMPLETION_COLUMNS` with its behaviors, which are measured on what the model wrote itself."""
    completion: Completion = group.completions[sample]
    problem = group.prompt.problem
    return {
        "step": step,
        "problem_id": problem.id,
        "kind": problem.kind,
        "copy": group.prompt.copy,
        "sample": sample,
        "prompt": group.prompt.text,
        "text": completion.text,
        "n_tokens": len(completion.token_ids),
        "stop": completion.stop,
        "answer": problem.answer,
        "grade": grade.status,
        "extracted": grade.extracted,
        "strict_grade": strict.status,
        "logprob": sum(completion.sampler_logprobs) if completion.sampler_logprobs else None,
        **{BEHAVIOR + name: float(value) for name, value in measure(completion.text).items()},
    }
