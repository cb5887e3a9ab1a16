"""What `--dry-run` prints, and what is said of memory before a run."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spurious.cli.words import columns
from spurious.terminal import say

if TYPE_CHECKING:
    from spurious.store import Run
    from spurious.study.scale import Scale


def show(scales: "Sequence[Scale]", *, as_json: bool) -> None:
    """Print the account of every model, as a table or as one JSON document."""
    if as_json:
        say(json.dumps([one.document() for one in scales], indent=2))
    else:
        say("\n\n".join(_text(one) for one in scales))


def say_memory(run: "Run") -> None:
    """Say on standard error what the run will take of its device, where that was reckoned."""
    if (planned := run.manifest.get("memory")) is not None:
        from spurious.grpo.room import in_words

        print(f"spurious: {in_words(planned)}", file=sys.stderr)


def _text(one: "Scale") -> str:
    told = one.document()
    asked = f"template {told['template']}" + (f", stop {' '.join(told['stop'])}" if told["stop"] else "")
    at = f" at {told['revision'][:12]}" if told["revision"] else ""
    rows = [
        {"phase": item["phase"], "what": item["what"], "dtype": item["dtype"], "GB": f"{item['bytes'] / 1e9:.3f}"}
        for item in told["memory"]
    ]
    return "\n".join(
        [
            f"{one.model}: {told['source']}{at}, {asked}",
            f"{told['parameters']:,} parameters, {told['positions']:,} positions",
            f"most demanding arm: {one.arm}; {told['prompts_per_rollout']} prompts of {told['prompt_tokens']} tokens x "
            f"{told['group_size']} completions of {told['max_tokens']}, {told['dtype']}",
            columns(rows),
            f"peak: {told['peak']['bytes'] / 1e9:.3f} GB while {told['peak']['phase']}; {one.advice}",
        ]
    )
