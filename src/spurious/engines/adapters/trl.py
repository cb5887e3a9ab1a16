"""TRL's reward functions (1.16): `GRPOTrainer(reward_funcs=reward_func("random"))`.

TRL calls with all completions of a generation batch, the G of a prompt side by side, and does not say what G is. It is
told, or it is the number of equal prompts in a row. TRL says the step, so draws are keyed as in our own engine.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from spurious.engines.adapters.payer import Engine, Payer, Reward, payer
from spurious.engines.adapters.told import FIELDS, Told, told
from spurious.engines.record import Place, text_of
from spurious.errors import DataError, RewardError, SpecError
from spurious.keys import Draw
from spurious.types import Extraction

ENGINE = Engine("TRL")
_PLACE = Place("TRL", 1)


def reward_func(
    reward: Reward,
    *,
    seed: int = 0,
    group_size: int | None = None,
    columns: Mapping[str, str] | None = None,
    extraction: Extraction = "strict",
    base: Path | None = None,
) -> Callable[..., list[float]]:
    """Return a function for `GRPOTrainer(reward_funcs=...)`, and for a module that `trl grpo --reward_funcs` names.

    Args:
        reward: what is paid.
        seed: of the draws; with `problem_id` columns of `spurious export` they are those of our own engine.
        group_size: TRL's `num_generations`. A reward that reads the whole group needs it where several processes
            train (a group may be split over them) and where copies of one prompt may stand side by side.
        columns: field to column of the data set, for `spurious.engines.adapters.told.FIELDS`; by default a column has
            its field's name. Only `answer` must be there. TRL drops no column of a data set for reward functions.
        extraction: what counts as an answer.
        base: where the path of a user's file starts.

    Raises:
        SpecError: an unknown reward, one made of per-token values, an unknown field, or no group size where it is
            needed.
        RewardError: a user's file cannot be used.
    """
    made = payer(reward, ENGINE, seed, extraction, base)
    mapping = {name: name for name in FIELDS} | dict(columns or {})
    if unknown := [name for name in mapping if name not in FIELDS]:
        raise SpecError(f"columns: {unknown[0]!r} is no field; there are {', '.join(FIELDS)}")
    if made.built.reads_group and group_size is None and _processes() > 1:
        raise SpecError(
            f"reward {made.built.name!r} reads the whole group, and {_processes()} processes may each hold a part of "
            "it: give group_size, and a per_device_train_batch_size that is a multiple of it"
        )
    seen = _Copies()

    def spurious_reward(
        prompts: Sequence[Any], completions: Sequence[Any], trainer_state: Any = None, **given: Any
    ) -> list[float]:
        rows = _rows(prompts, given, mapping)
        texts = [text_of(completion, "completion", _PLACE) for completion in completions]
        step = _step(trainer_state)
        paid: list[float] = []
        for start, end in _groups(prompts, rows, group_size, made):
            draw = Draw(seed, step, rows[start].problem.id, seen.next(step, rows[start].problem.id))
            paid += made.pay(texts[start:end], rows[start], draw)
        _log(given.get("log_extra"), rows)
        return paid

    spurious_reward.__name__ = made.built.name
    return spurious_reward


class _Copies:
    """Which occurrence of a problem at a step this is, kept apart from those of the other processes."""

    def __init__(self) -> None:
        self._step: int | None = None
        self._count: Counter[str] = Counter()

    def next(self, step: int, problem_id: str) -> int:
        if step != self._step:
            self._step, self._count = step, Counter()
        self._count[problem_id] += 1
        return int(os.environ.get("RANK", "0")) + _processes() * (self._count[problem_id] - 1)


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _step(trainer_state: Any) -> int:
    step = getattr(trainer_state, "global_step", None)
    if not isinstance(step, int):
        raise RewardError("TRL passes trainer_state, whose global_step the draws are keyed by; here there is none")
    return step


def _rows(prompts: Sequence[Any], columns: Mapping[str, Any], mapping: Mapping[str, str]) -> list[Told]:
    given = {field: columns[name] for field, name in mapping.items() if isinstance(columns.get(name), Sequence)}
    if "answer" not in given and "label" not in given:
        raise DataError(
            f"TRL: the data set has no column {mapping['answer']!r} with the answers, only {', '.join(columns)}; "
            "name it: columns={'answer': ...}"
        )
    return [
        told({field: values[i] for field, values in given.items()}, "TRL", _question(prompt))
        for i, prompt in enumerate(prompts)
    ]


def _question(prompt: Any) -> str:
    """What the user says last, or the whole text of a prompt that is no conversation."""
    if isinstance(prompt, str):
        return prompt
    said = [message for message in prompt if message.get("role") == "user"]
    return text_of(said[-1:] or list(prompt), "prompt", _PLACE)


def _groups(prompts: Sequence[Any], rows: Sequence[Told], size: int | None, made: Payer) -> Iterator[tuple[int, int]]:
    """Start and end of every group.

    Raises:
        RewardError: the reward reads the whole group, and the batch is not made of whole groups.
    """
    runs = [len(list(run)) for _, run in groupby(zip(prompts, (row.problem.id for row in rows), strict=True))]
    if made.built.reads_group:
        if size is None and len(set(runs)) > 1:
            raise RewardError(
                f"reward {made.built.name!r} reads the whole group, and the batch has {_shown(runs)} equal prompts in "
                "a row: no one group size; give group_size"
            )
        if size is not None and any(run % size for run in runs):
            raise RewardError(
                f"reward {made.built.name!r} reads the whole group of {size}, and the batch has {_shown(runs)} equal "
                "prompts in a row: a group is split; make per_device_train_batch_size a multiple of num_generations"
            )
    start = 0
    for run in runs:
        width = min(size or run, run)
        for first in range(start, start + run, width):
            yield first, min(first + width, start + run)
        start += run


def _shown(runs: Sequence[int]) -> str:
    return ", ".join(map(str, runs[:8])) + (", ..." if len(runs) > 8 else "")


def _log(log_extra: Any, rows: Sequence[Told]) -> None:
    """Put what `spurious analyze` needs into TRL's table of completions (`log_completions=True`)."""
    if log_extra is not None:
        for name in ("answer", "label", "problem_id"):
            log_extra(name, [row.row[name] for row in rows])
