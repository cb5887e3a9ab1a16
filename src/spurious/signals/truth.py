"""Whether a reward, told what it was told, could know a true answer at all: read off the specification alone."""

import ast

from spurious.signals.userfile import is_reference
from spurious.specs import LabelSpec, RewardSpec

TELLS_TRUTH = frozenset({"true", "noise"})
"""The label transforms whose labels are true answers, or partly so."""

_BREAKS_LINK = frozenset({"shuffled", "resampled"})
"""Which completion these pay has nothing to do with what it says, whatever is inside them."""

_EVERYTHING = frozenset({"label", "problem"})


def ignores_truth(reward: RewardSpec, label: LabelSpec, source: str | None = None) -> str:
    """Why the reward cannot have favored true answers, as a sentence; empty where it could.

    Args:
        reward: what was paid.
        label: what the reward was told.
        source: the text of the user's files, as a manifest has it. A function whose signature is not found there is
            taken to see everything.
    """
    seen = _sees(reward, source)
    if not seen:
        return f"The reward {reward.name} pays no completion for being true: nothing in it depends on a true answer."
    if "problem" in seen or label.name in TELLS_TRUTH:
        return ""
    return f"The reward {reward.name} was told {label.name} labels in the place of the true answers."


def _sees(reward: RewardSpec, source: str | None) -> frozenset[str]:
    """Which of `label` and `problem`, where a true answer stands, what is paid depends on."""
    if is_reference(reward.name):
        return _signature(reward.name.rpartition(":")[2], source)
    if reward.name in _BREAKS_LINK:
        return frozenset()
    own = frozenset({"label"} if reward.name == "ground_truth" else ())
    weights = reward.args.get("weights", [1] * len(reward.of))
    parts = [part for part, weight in zip(reward.of, weights, strict=True) if weight]
    return own.union(*(_sees(part, source) for part in parts))


def _signature(function: str, source: str | None) -> frozenset[str]:
    try:
        tree = ast.parse(source or "")
    except (SyntaxError, ValueError):
        return _EVERYTHING
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    if not found or any(node.args.kwarg or node.decorator_list for node in found):
        return _EVERYTHING
    names = {one.arg for node in found for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    return frozenset(names & _EVERYTHING)
