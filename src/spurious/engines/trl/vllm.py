"""Completions drawn by TRL's own generation, which is vLLM's: as a sampler like any other."""

from collections.abc import Callable, Sequence
from typing import Any

from spurious.errors import SpecError
from spurious.keys import KeyPart
from spurious.policy.model import Policy, decode
from spurious.specs import SamplingSpec
from spurious.types import Completion, Group, Prompt


class VllmSampler:
    """Draws with the settings its trainer was made with; the draws are vLLM's own, not keyed."""

    def __init__(self, trainer: Any, policy: Policy) -> None:
        self._trainer, self._policy = trainer, policy

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
        """Draw n completions of each prompt; see `spurious.policy.protocol.Sampler`. Every process must call at once.

        Raises:
            SpecError: stop strings, or values of whole distributions, which vLLM does not tell.
        """
        if sampling.stop:
            raise SpecError(f"trl.sampler: vllm does not stop on strings, and the template has {sampling.stop[0]!r}")
        if confidence:
            raise SpecError("trl.sampler: vllm does not tell the entropies that this reward reads; use own")
        asked = [list(prompt.token_ids) for prompt in prompts for _ in range(n)]
        tokens, logprobs = self._trainer._generate_single_turn(asked, None, {}, n)
        told = logprobs or [()] * len(tokens)
        completions = [self._completion(ids, values) for ids, values in zip(tokens, told, strict=True)]
        groups = [Group(prompt, tuple(completions[i * n : (i + 1) * n])) for i, prompt in enumerate(prompts)]
        for index, group in enumerate(groups if on_group else ()):
            on_group(index, group)  # type: ignore[misc]  # there is one, or nothing to loop over
        return groups

    def _completion(self, ids: Sequence[int], logprobs: Sequence[float]) -> Completion:
        ended = bool(ids) and ids[-1] in self._policy.eos_ids
        text = decode(self._policy, ids[:-1] if ended else ids)
        return Completion(text, tuple(ids), tuple(logprobs), "eos" if ended else "length")
