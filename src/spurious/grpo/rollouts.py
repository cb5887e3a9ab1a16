"""The rows of a rollout batch: as a run stores them, and as it keeps them where a step broke down."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import exp
from statistics import fmean
from typing import Any, Self

import polars as pl
from torch import Tensor

from spurious.errors import NumericalError, RewardError
from spurious.evaluate import completion_row
from spurious.store import Run
from spurious.store.tables import COMPLETION_COLUMNS, ROLLOUT_COLUMNS, frame
from spurious.types import Completion, Group, Prompt, Scored


def rollout_frame(step: int, scored: Sequence[Scored], advantages: Tensor) -> pl.DataFrame:
    """One row a completion: what was said, what is true, what was paid, and the advantage made of it."""
    rows = []
    for one, row_advantages in zip(scored, advantages.tolist(), strict=True):
        for i, completion in enumerate(one.group.completions):
            probabilities = [exp(logprob) for logprob in completion.sampler_logprobs]
            rows.append(
                {
                    **completion_row(step, one.group, i, one.grades[i], one.strict_grades[i]),
                    "label": one.label,
                    "reward": one.rewards[i],
                    "advantage": row_advantages[i],
                    "mean_token_probability": fmean(probabilities) if probabilities else None,
                }
            )
    return frame(rows, {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS})


@dataclass
class Batch:
    """What is known of the rollout batch at hand so far."""

    step: int = 0
    prompts: Sequence[Prompt] = ()
    groups: Sequence[Group] = ()
    scored: Sequence[Scored] = ()
    advantages: Tensor | None = None

    def begin(self, step: int) -> Self:
        """Forget the last step's."""
        self.step, self.prompts, self.groups, self.scored, self.advantages = step, (), (), (), None
        return self

    def frame(self) -> pl.DataFrame:
        """Rows as of `rollout_frame`, null where the step did not get so far."""
        if self.advantages is not None:
            return rollout_frame(self.step, self.scored, self.advantages)
        rows = [
            {**_asked(self.step, group.prompt), **_said(completion), "sample": i}
            for group in self.groups
            for i, completion in enumerate(group.completions)
        ]
        rows = rows or [_asked(self.step, prompt) for prompt in self.prompts]
        return frame(rows, {**COMPLETION_COLUMNS, **ROLLOUT_COLUMNS})


@contextmanager
def kept_where_broken(run: Run | None, batch: Batch) -> Iterator[None]:
    """Around steps: where a NaN, an infinity or a reward ends the run, say in which step, and keep its batch.

    Raises:
        NumericalError: as inside, with the step and the file in which the batch is kept.
        RewardError: the same.
    """
    try:
        yield
    except (NumericalError, RewardError) as error:
        kept = f"; its batch is kept in {run.write_broken(batch.step, batch.frame())}" if run is not None else ""
        raise type(error)(f"step {batch.step}: {error}{kept}") from error


def _asked(step: int, prompt: Prompt) -> dict[str, Any]:
    problem = prompt.problem
    return {
        "step": step,
        "problem_id": problem.id,
        "kind": problem.kind,
        "copy": prompt.copy,
        "prompt": prompt.text,
        "answer": problem.answer,
    }


def _said(completion: Completion) -> dict[str, Any]:
    return {
        "text": completion.text,
        "n_tokens": len(completion.token_ids),
        "stop": completion.stop,
        "logprob": sum(completion.sampler_logprobs) if completion.sampler_logprobs else None,
    }
