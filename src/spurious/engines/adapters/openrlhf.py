"""OpenRLHF's reward function (0.11): a file that says `reward_func = openrlhf.reward_func("random", ...)`, named by
`--reward.remote_url`.

OpenRLHF calls with lists of one, in a thread, tells no step and writes no rollouts, so this writes them itself. It
passes on one text a problem, the label: a JSON document with the fields of `spurious.engines.adapters.told`, as
`spurious export` writes it, or an answer. What a reward raises OpenRLHF only logs, and trains on without a reward.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spurious.engines.adapters.draws import Fresh, Records, mark
from spurious.engines.adapters.payer import Engine, Reward, payer
from spurious.engines.adapters.told import told
from spurious.errors import RewardError
from spurious.types import Extraction

ENGINE = Engine("OpenRLHF", one_by_one="OpenRLHF shows a reward one completion at a time")


def reward_func(
    reward: Reward,
    *,
    records: Path,
    seed: int = 0,
    ends: Sequence[str] = (),
    extraction: Extraction = "strict",
    base: Path | None = None,
    one_by_one: bool = False,
) -> Callable[..., dict[str, Any]]:
    """Return a `reward_func(queries, prompts, labels)`.

    Args:
        reward: what is paid.
        records: a folder for the rollouts, one JSONL file a process; `spurious analyze` reads it.
        seed: of the draws.
        ends: the texts of the tokens that end a completion, such as `<|im_end|>`: a query has them at its end.
        extraction: what counts as an answer.
        base: where the path of a user's file starts; workers have a working directory of their own.
        one_by_one: a reward of your own pays every completion by itself.

    Raises:
        SpecError: an unknown reward, or one that reads the whole group or per-token values.
        RewardError: a user's file cannot be used.
    """
    made, noise, kept = payer(reward, ENGINE, seed, extraction, base, one_by_one), Fresh(seed), Records(records)

    def spurious_reward(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
    ) -> dict[str, Any]:
        if len(queries) != 1:
            raise RewardError(
                f"OpenRLHF 0.11 calls a reward with one completion, and this is a call with {len(queries)}"
            )
        text = _completion(queries[0], prompts[0], ends)
        row = told(_fields(labels[0]), "OpenRLHF", prompts[0])
        draw = noise.draw(row.problem.id)
        (score,) = made.pay([text], row, draw)
        drawn = {"draw": mark(draw)} if made.built.draws else {}
        kept.add([{"prompt": prompts[0], "text": text, "reward": score, **row.row, **drawn}])
        return {"rewards": score, "scores": score, "extra_logs": {}}

    return spurious_reward


def _completion(query: str, prompt: str, ends: Sequence[str]) -> str:
    """What the model said: the query without the prompt and without the end-of-sequence token."""
    if not query.startswith(prompt):
        raise RewardError("OpenRLHF's query does not begin with the prompt: the completion cannot be cut out of it")
    text = query[len(prompt) :]
    for end in ends:
        text = text.removesuffix(end)
    return text


def _fields(label: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(label)
    except ValueError:
        return {"answer": label}
    return fields if isinstance(fields, dict) else {"answer": label}
