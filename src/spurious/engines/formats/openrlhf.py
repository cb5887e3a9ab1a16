"""OpenRLHF's JSONL: what `openrlhf.cli.batch_inference` writes, and what a reward function can log.

OpenRLHF 0.11.2 writes no rollouts itself. Its batch inference (up to 0.10) writes input, output and, with a reward
model, reward. A reward function is called with queries, prompts and labels; logged one row a completion as query,
prompt, label and reward, they are read here, the query being the prompt with the completion behind it.
"""

from collections.abc import Collection, Mapping
from typing import Any

from spurious.engines.record import Columns, Place

COLUMNS: Columns = {
    "step": ("step", "global_step"),
    "prompt": ("input", "prompt"),
    "text": ("output", "response"),
    "answer": ("label", "answer"),
    "reward": ("reward", "rewards"),
}


def recognizes(names: Collection[str]) -> bool:
    """Whether a file with these columns is one of OpenRLHF's."""
    return {"input", "output"} <= set(names) or {"query", "prompt"} <= set(names)


def completed(row: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """The row with the completion cut out of its query.

    Raises:
        DataError: the query does not begin with the prompt.
    """
    query, prompt = row.get("query"), row.get("prompt")
    if query is None or "response" in row:
        return row
    if not isinstance(query, str) or not isinstance(prompt, str) or not query.startswith(prompt):
        raise place.refuse("query", "it does not begin with the prompt, so the completion cannot be cut out of it")
    return {**row, "response": query[len(prompt) :]}
