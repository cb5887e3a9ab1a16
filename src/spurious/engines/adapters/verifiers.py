"""verifiers' task rewards (0.4, as prime-rl trains on): `spurious = {fn = "rewards.py:pay"}` under
`env.taskset.task.rewards`, where rewards.py says `pay = reward_func("random")`.

A reward sees one trace; groups are the trainer's affair and reach no reward. A trace has an id of its own, which its
record in traces.jsonl keeps: the draws are keyed by it, so that they can be made again.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from spurious.engines.adapters.payer import Engine, Reward, payer
from spurious.engines.adapters.told import FIELDS, told
from spurious.errors import RewardError
from spurious.keys import Draw
from spurious.types import Extraction

ENGINE = Engine(
    "verifiers", one_by_one="verifiers shows a reward one trace at a time", tells=frozenset({"sampler_logprobs"})
)


def reward_func(
    reward: Reward,
    *,
    seed: int = 0,
    extraction: Extraction = "strict",
    base: Path | None = None,
    one_by_one: bool = False,
) -> Callable[..., Awaitable[float]]:
    """Return an `async def pay(task, trace) -> float`.

    The task's data has an `answer`, and may have the other fields of `spurious.engines.adapters.told`.

    Args:
        reward: what is paid.
        seed: of the draws.
        extraction: what counts as an answer.
        base: where the path of a user's file starts.
        one_by_one: a reward of your own pays every completion by itself.

    Raises:
        SpecError: an unknown reward, or one that reads the whole group, or entropies.
        RewardError: a user's file cannot be used.
    """
    made = payer(reward, ENGINE, seed, extraction, base, one_by_one)

    async def pay(task: Any, trace: Any) -> float:
        row = told({name: getattr(task, name, None) for name in FIELDS}, "verifiers", task.prompt_text)
        draw = draw_of(trace.id, row.problem.id, seed)
        logprobs = [_logprobs(trace)] if "sampler_logprobs" in made.built.needs else ()
        (score,) = made.pay([trace.last_reply], row, draw, logprobs)
        return score

    return pay


def draw_of(trace_id: str, problem_id: str, seed: int) -> Draw:
    """The noise of a trace, during the run and after it."""
    return Draw(seed, 0, f"{problem_id}/{trace_id}")


def _logprobs(trace: Any) -> list[float]:
    """Those of the last reply's tokens."""
    said = [node for node in trace.nodes if node.sampled]
    if not said or not said[-1].logprobs:
        raise RewardError(
            "this reward reads sampler_logprobs, and the trace has none: it was not made by a training client"
        )
    return list(said[-1].logprobs)
