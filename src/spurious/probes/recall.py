"""How well a model knows a question by heart: the log-probabilities of its tokens, and greedy completion of a part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spurious.analysis.rouge import rouge_l, units
from spurious.errors import InputError
from spurious.policy import Policy, Row, TorchSampler, chat_renderer, completion_logprobs, micro_batches, prompt_ids
from spurious.policy.model import decode
from spurious.specs import SamplingSpec
from spurious.tasks.prompts import word
from spurious.types import Problem, Prompt

_TOKENS = 16384  # of one forward pass


@dataclass(frozen=True, slots=True)
class Reading:
    """A question as a corpus would hold it."""

    problem: Problem
    ids: tuple[int, ...]
    """Of the whole text, a beginning-of-sequence token included where the tokenizer puts one."""
    opening: int
    """1 with such a token, else 0."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a model made of the first part of a question."""

    exact: bool
    """The rest came word for word (spaces at its end aside)."""
    rouge: float
    """ROUGE-L of the rest against as many units of the completion."""
    text: str
    """All that came after the part."""


def read(policy: Policy, problem: Problem, template: str) -> Reading:
    """Put a question into the words that it may have been read in.

    Raises:
        InputError: it has fewer than two tokens to tell apart, or more than the model has positions.
    """
    text = word(problem.question, template, chat_renderer(policy)).text
    ids = prompt_ids(policy, text, problem.question)
    opening = int(ids[0] == policy.tokenizer.bos_token_id)
    if len(ids) - opening < 2:
        raise InputError(f"problem {problem.id}: a question of one token cannot be cut")
    if policy.positions is not None and len(ids) > policy.positions:
        raise InputError(
            f"problem {problem.id}: its question's {len(ids)} tokens exceed the model's {policy.positions} positions"
        )
    return Reading(problem, ids, opening)


def cut(policy: Policy, reading: Reading, fraction: float) -> int:
    """How many ids the first part has: the fewest tokens that hold at least this fraction of the characters.

    At least one token of the text stays on either side.
    """
    first, last = reading.opening + 1, len(reading.ids) - 1
    wanted = fraction * len(_text(policy, reading, len(reading.ids)))
    while first < last:
        middle = (first + last) // 2
        if len(_text(policy, reading, middle)) >= wanted:
            last = middle
        else:
            first = middle + 1
    return first


def token_logprobs(policy: Policy, readings: Sequence[Reading]) -> list[NDArray[np.float64]]:
    """For each reading the log-probability in nats of every id but the first, given those before it."""
    rows = [Row(reading.ids[:1], reading.ids[1:]) for reading in readings]
    return row_logprobs(policy, rows)


@torch.no_grad()
def row_logprobs(policy: Policy, rows: Sequence[Row]) -> list[NDArray[np.float64]]:
    """For each row the log-probabilities of its completion's ids."""
    found: list[NDArray[np.float64]] = [np.empty(0)] * len(rows)
    for batch in micro_batches(rows, _TOKENS):
        part = [rows[i] for i in batch]
        flat = completion_logprobs(policy.model, part, pad_id=policy.pad_id).logprobs.double().cpu().numpy()
        ends = np.cumsum([len(row.completion_ids) for row in part])
        for i, values in zip(batch, np.split(flat, ends[:-1]), strict=True):
            found[i] = values
    return found


def complete(policy: Policy, readings: Sequence[Reading], fraction: float, answer_tokens: int) -> list[Recalled]:
    """Let the model go on, greedily, after the first part of each question.

    Args:
        policy: The model.
        readings: The questions.
        fraction: How much of their characters is given.
        answer_tokens: Room for an answer after the rest of the longest question.

    Raises:
        InputError: a question and its answer do not fit the model's positions.
    """
    places = [cut(policy, reading, fraction) for reading in readings]
    rest = max(len(reading.ids) - place for reading, place in zip(readings, places, strict=True))
    prompts = [
        Prompt(reading.problem, _text(policy, reading, place), reading.ids[:place])
        for reading, place in zip(readings, places, strict=True)
    ]
    sampling = SamplingSpec(temperature=0, max_tokens=rest + answer_tokens)
    groups = TorchSampler(policy).sample(prompts, 1, sampling, ("probe", "recall"))
    return [
        _recalled(policy, reading, place, group.completions[0].token_ids)
        for reading, place, group in zip(readings, places, groups, strict=True)
    ]


def _recalled(policy: Policy, reading: Reading, place: int, drawn: tuple[int, ...]) -> Recalled:
    """Compared as text, since the same words can come in other tokens."""
    new = drawn[:-1] if drawn[-1:] and drawn[-1] in policy.eos_ids else drawn
    head = _text(policy, reading, place)
    whole = _text(policy, reading, len(reading.ids))
    written = decode(policy, (*reading.ids[reading.opening : place], *new))
    rest, text = whole[len(head) :], written[len(head) :]
    candidate = " ".join(units(text)[: len(units(rest))])
    return Recalled(written.startswith(whole.rstrip()), rouge_l(rest, candidate), text)


def _text(policy: Policy, reading: Reading, end: int) -> str:
    return decode(policy, reading.ids[reading.opening : end])
