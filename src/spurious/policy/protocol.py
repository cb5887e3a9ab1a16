"""What every sampler can do, so that training, evaluation and labeling need not know which one they hold."""

from collections.abc import Callable, Sequence
from typing import Protocol

from spurious.keys import KeyPart
from spurious.specs import SamplingSpec
from spurious.types import Group, Prompt


class Sampler(Protocol):
    """Draws completions."""

    def sample(
        self,
        prompts: Sequence[Prompt],
        n: int,
        sampling: SamplingSpec,
        scope: tuple[KeyPart, ...],
        *,
        confidence: bool = False,
        on_group: Callable[[int, Group], None] | None = None,
    ) -> list[Group]:
        """Draw n completions of each prompt.

        Args:
            prompts: P prompts; copies of one problem have different `copy`.
            n: Completions of each prompt.
            sampling: Temperature, nucleus, stop strings, length.
            scope: What the draws belong to, such as (seed, "rollout", step); the key of row i of a prompt is
                `key(*scope, prompt.problem.id, prompt.copy, i)`.
            confidence: Also return each token's entropy and self-certainty, where the sampler can.
            on_group: Called with (index into prompts, group) once a group is complete, in any order.

        Returns:
            P groups, in the order of the prompts.
        """
        ...
