"""tinker-cookbook's group rewards (0.6): the body of an `EnvGroupBuilder.compute_group_rewards`.

    class Builder(ProblemGroupBuilder):
        async def compute_group_rewards(self, trajectory_group, env_group):
            return await PAY(trajectory_group, env_group)

with `PAY = reward_func("majority_vote", records=...)`. All completions of a problem come at once, with the sampler's
log-probabilities. No step is told, so what was drawn is marked in the rows that this writes.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from spurious.engines.adapters.draws import Fresh, Records, mark
from spurious.engines.adapters.payer import Engine, Reward, payer
from spurious.engines.adapters.told import FIELDS, Told, told
from spurious.engines.record import Place, text_of
from spurious.types import Extraction

ENGINE = Engine("tinker", tells=frozenset({"sampler_logprobs"}))

Paid = list[tuple[float, dict[str, float]]]


def reward_func(
    reward: Reward,
    *,
    records: Path,
    seed: int = 0,
    extraction: Extraction = "strict",
    base: Path | None = None,
) -> Callable[[Sequence[Any], Sequence[Any]], Awaitable[Paid]]:
    """Return an `async def pay(trajectory_group, env_group)`: one pay a trajectory, beside what its steps were paid.

    The environments are `ProblemEnv`s: their `get_question` and `get_reference_answer` say what is asked and true;
    an attribute `told` of theirs (a mapping) may say more, of `spurious.engines.adapters.told.FIELDS`. A `ProblemEnv`
    pays for the right answer in `step` by itself: leave that at 0 in an arm that is paid otherwise.

    Args:
        reward: what is paid.
        records: a folder for the rollouts, one JSONL file a process; `spurious analyze` reads it.
        seed: of the draws.
        extraction: what counts as an answer.
        base: where the path of a user's file starts.

    Raises:
        SpecError: an unknown reward, or one made of entropies.
        RewardError: a user's file cannot be used.
    """
    made, noise, kept = payer(reward, ENGINE, seed, extraction, base), Fresh(seed), Records(records)

    async def pay(trajectory_group: Sequence[Any], env_group: Sequence[Any]) -> Paid:
        row = _told(env_group[0])
        said = [trajectory.transitions[-1].ac for trajectory in trajectory_group]
        texts = [_text(env, action.tokens) for env, action in zip(env_group, said, strict=True)]
        draw = noise.draw(row.problem.id)
        scores = made.pay(texts, row, draw, [action.maybe_logprobs or () for action in said])
        drawn = {"draw": mark(draw)} if made.built.draws else {}
        kept.add(
            [
                {"sample": i, "text": text, "reward": score, **row.row, **drawn}
                for i, (text, score) in enumerate(zip(texts, scores, strict=True))
            ]
        )
        return [(score, {}) for score in scores]

    return pay


def _told(env: Any) -> Told:
    more = {name: value for name, value in getattr(env, "told", {}).items() if name in FIELDS}
    return told({"answer": env.get_reference_answer(), "question": env.get_question(), **more}, "tinker")


def _text(env: Any, tokens: Sequence[int]) -> str:
    """The last answer in words, as the environment's renderer reads it."""
    message, _ = env.renderer.parse_response(list(tokens))
    return text_of([message], "message", Place("tinker", 1))
