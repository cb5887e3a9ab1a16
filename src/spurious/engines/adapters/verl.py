"""verl's custom reward function (0.9): a file that says `compute_score = reward_func("random")`, named by
`reward.custom_reward_function.path`.

verl calls once a completion, in a worker drawn at random, and tells no step. What was drawn is marked in the rows that
verl writes itself (`trainer.rollout_data_dir`), beside the true answer, which its own column `gts` does not hold where
the reward is told something else.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spurious.engines.adapters.draws import Fresh, mark
from spurious.engines.adapters.payer import Engine, Reward, payer
from spurious.engines.adapters.told import told
from spurious.types import Extraction

ENGINE = Engine("verl", one_by_one="verl shows a reward one completion at a time")


def reward_func(
    reward: Reward,
    *,
    seed: int = 0,
    extraction: Extraction = "strict",
    base: Path | None = None,
    one_by_one: bool = False,
) -> Callable[..., dict[str, Any]]:
    """Return a `compute_score(data_source, solution_str, ground_truth, extra_info)`.

    It pays by `ground_truth`, which is what the reward is told; `extra_info` may hold the other fields of
    `spurious.engines.adapters.told`, the true `answer` above all. It returns `score` and what verl should write beside
    it: `answer`, `label`, `problem_id` and, where the reward draws, `draw`.

    Args:
        reward: what is paid.
        seed: of the draws.
        extraction: what counts as an answer.
        base: where the path of a user's file starts; workers have a working directory of their own.
        one_by_one: a reward of your own pays every completion by itself.

    Raises:
        SpecError: an unknown reward, or one that reads the whole group or per-token values.
        RewardError: a user's file cannot be used.
    """
    made, noise = payer(reward, ENGINE, seed, extraction, base, one_by_one), Fresh(seed)

    def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        row = told({"answer": ground_truth, "source": data_source, **(extra_info or {}), "label": ground_truth}, "verl")
        draw = noise.draw(row.problem.id)
        (score,) = made.pay([solution_str], row, draw)
        said = {name: row.row[name] for name in ("answer", "label", "problem_id")}
        return {"score": score, **said, **({"draw": mark(draw)} if made.built.draws else {})}

    return compute_score
