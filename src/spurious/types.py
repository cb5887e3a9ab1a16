"""The nouns that flow through the system, as frozen dataclasses of the standard library.

    Problem -> Prompt -> Group(Completion x G) -> Scored(reward and grade, two columns of one row)

Behavior lives elsewhere. What training was paid (`rewards`) and what is true (`grades`) never share a field.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["correct", "wrong", "absent", "unparsable", "limit", "timeout", "failed"]
"""What is true of a completion: right, not right, no answer found, an answer no parser understands, an answer too large
to be parsed safely, one whose comparison ran out of time, one whose grading worker died."""

Extraction = Literal["strict", "lenient"]
"""Which text counts as the answer: only a box (`strict`), or also the fallbacks of docs/grading.md (`lenient`)."""

Stop = Literal["eos", "stop", "length"]
"""Why sampling ended: the end-of-sequence token, a stop string, or the token limit."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its true answer."""

    id: str
    """Derived from the content (question and answer), never a row index."""
    question: str
    answer: str
    source: str
    """The task or data set it comes from."""
    kind: str = ""
    """A category within the source: a chain's theme, a subject, a difficulty."""
    metadata: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A problem put into words by a template."""

    problem: Problem
    text: str
    token_ids: tuple[int, ...]
    copy: int = 0
    """Which occurrence of the same problem in one rollout batch this is; keeps the draws of copies apart."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer. `sampler_logprobs` are those of the policy that sampled, at the sampling temperature."""

    text: str
    token_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    """One per token of `token_ids`, the end-of-sequence token included; empty where a server does not tell."""
    stop: Stop
    entropies: tuple[float, ...] = ()
    """Entropy in nats of the distribution each token was drawn from; empty unless asked for."""
    self_certainties: tuple[float, ...] = ()
    """KL(uniform || policy) in nats at each token (Kang et al. 2025); empty unless asked for."""


@dataclass(frozen=True, slots=True)
class Group:
    """The G completions of one prompt."""

    prompt: Prompt
    completions: tuple[Completion, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The completions' texts, in order."""
        return tuple(completion.text for completion in self.completions)


@dataclass(frozen=True, slots=True)
class Grade:
    """What is true of one completion, and the answer that was read out of it."""

    status: Status
    extracted: str | None

    @property
    def correct(self) -> bool:
        """Whether the answer is right; every other status is not, but for its own reason."""
        return self.status == "correct"


@dataclass(frozen=True, slots=True)
class Scored:
    """A group with what training was paid and, beside it, what is true."""

    group: Group
    label: str
    """What the reward was told; differs from `group.prompt.problem.answer` in the majority and incorrect arms."""
    rewards: tuple[float, ...]
    grades: tuple[Grade, ...]
    """Against the true answer, lenient extraction."""
    strict_grades: tuple[Grade, ...]
    """Against the true answer, only a box counts."""
