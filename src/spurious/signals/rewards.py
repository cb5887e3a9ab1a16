"""The rewards, treatment and placebo side by side, each a plain function of one group.

`REWARDS[name](**parameters)` makes one; combinations take the rewards inside them first. What each is told and may draw
from is written down in `spurious.signals.contract`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from spurious import behaviors
from spurious.errors import RewardError, SpecError
from spurious.keys import Draw
from spurious.signals.contract import Reward, checked
from spurious.signals.votes import winner
from spurious.types import Extraction, Problem
from spurious.verify import verify_many


def ground_truth() -> Reward:
    """1 for an answer that the verifier finds equal to the label, else 0.

    Under the label transform `true` this is the treatment; under the others it pays for a majority or a wrong answer.
    """

    def reward(
        completions: Sequence[str], /, *, label: str, extraction: Extraction = "strict", **_: Any
    ) -> list[float]:
        grades = verify_many([(text, label) for text in completions], extraction=extraction)
        return [float(grade.correct) for grade in grades]

    return reward


def majority_vote() -> Reward:
    """1 for agreeing with the most common answer of the group itself (TTRL, Zuo et al. 2025), else 0.

    A completion without an answer neither votes nor is paid; equivalent answers vote together; among answers with equal
    votes the first in the order of their text wins. A group without any answer is paid nothing.
    """

    def reward(completions: Sequence[str], /, *, extraction: Extraction = "strict", **_: Any) -> list[float]:
        members = winner(completions, extraction)
        return [float(i in members) for i in range(len(completions))]

    return reward


def format() -> Reward:
    r"""1 for a balanced, non-empty `\boxed{}`, whatever is in it, else 0: the paper's format reward, mended."""
    return _detector(behaviors.boxed)


def python_mention() -> Reward:
    """1 for saying 'python' in any case, else 0: the paper's Python reward (figure 8)."""
    return _detector(behaviors.code_reasoning)


def no_python() -> Reward:
    """1 for not saying 'python' in any case, else 0; inside `all_of` the paper's compound rewards (figure 9)."""
    return not_(python_mention())


def behavior(name: str) -> Reward:
    """1 for a text that shows a behavior of `spurious.behaviors` that is there or not, such as `trace`, else 0."""
    if name not in behaviors.PRESENT:
        raise SpecError(f"behavior: name must be one of {', '.join(behaviors.PRESENT)}, not {name!r}")
    return _detector(behaviors.BEHAVIORS[name])


def no_repetition() -> Reward:
    """0 for a text stuck in a loop, else 1; `behaviors.repetition` defines a loop (the paper's figure 17)."""
    return not_(_detector(behaviors.repetition))


def random(gamma: float = 0.5) -> Reward:
    """1 with probability gamma, whatever the text: a coin keyed by (seed, step, problem, copy, index) (figure 10)."""
    _number("random: gamma", gamma)
    if not 0 <= gamma <= 1:
        raise SpecError(f"random: gamma is a probability between 0 and 1, not {gamma}")

    def reward(completions: Sequence[str], /, *, draw: Draw, **_: Any) -> list[float]:
        return [float(u < gamma) for u in draw.uniforms(len(completions))]

    return reward


def constant(value: float = 1.0) -> Reward:
    """The same value for every completion: the null arm, no advantage anywhere."""
    _number("constant: value", value)

    def reward(completions: Sequence[str], /, **_: Any) -> list[float]:
        return [float(value)] * len(completions)

    return reward


def negative_entropy() -> Reward:
    """Minus the mean token entropy in nats (RENT, Prabhudesai et al. 2025); needs `entropies` from the sampler."""

    def reward(
        completions: Sequence[str], /, *, problem: Problem, entropies: Sequence[Sequence[float]] = (), **_: Any
    ) -> list[float]:
        return [-mean for mean in _token_means("entropies", entropies, len(completions), problem)]

    return reward


def self_certainty() -> Reward:
    """The mean over tokens of KL(uniform || policy) in nats (Kang et al. 2025; Intuitor, Zhao et al. 2025).

    Needs `self_certainties` from the sampler.
    """

    def reward(
        completions: Sequence[str], /, *, problem: Problem, self_certainties: Sequence[Sequence[float]] = (), **_: Any
    ) -> list[float]:
        return _token_means("self_certainties", self_certainties, len(completions), problem)

    return reward


def shuffled(of: Reward, /) -> Reward:
    """The inner reward's own values, permuted within each group: the matched placebo of that reward.

    Every group keeps its exact distribution of rewards and loses only which completion earned which.
    """

    def reward(completions: Sequence[str], /, *, draw: Draw, **kwargs: Any) -> list[float]:
        values = of(completions, draw=draw.of_part(0), **kwargs)
        order = draw.permutation(len(completions), purpose=f"shuffled at depth {len(draw.part)}")
        return [values[i] for i in order]

    return reward


def resampled(of: Reward, /) -> Reward:
    """Values drawn with replacement from what the inner reward pays the group: a coin of that reward's own rate.

    For a reward of 0 and 1 every completion is paid with the probability of the group's mean, whatever its text.
    """

    def reward(completions: Sequence[str], /, *, draw: Draw, **kwargs: Any) -> list[float]:
        values = of(completions, draw=draw.of_part(0), **kwargs)
        n = len(completions)
        return [values[int(u * n)] for u in draw.uniforms(n, purpose=f"resampled at depth {len(draw.part)}")]

    return reward


def all_of(*of: Reward) -> Reward:
    """1 where every part pays 1, else 0; the parts pay only 0 or 1 and draw independently of each other.

    The first part sees the noise that it would see alone: list a random reward first to pair the compound with it.
    """
    if not of:
        raise SpecError("all_of: there must be at least one reward in it")

    def reward(completions: Sequence[str], /, *, problem: Problem, draw: Draw, **kwargs: Any) -> list[float]:
        columns = [
            _binary("all_of", part(completions, problem=problem, draw=draw.of_part(i), **kwargs), completions, problem)
            for i, part in enumerate(of)
        ]
        return [min(row) for row in zip(*columns, strict=True)]

    return reward


def not_(of: Reward, /) -> Reward:
    """1 where the inner reward pays 0, and 0 where it pays 1; any other value is refused."""

    def reward(completions: Sequence[str], /, *, problem: Problem, draw: Draw, **kwargs: Any) -> list[float]:
        values = of(completions, problem=problem, draw=draw.of_part(0), **kwargs)
        return [1.0 - value for value in _binary("not_", values, completions, problem)]

    return reward


def weighted(*of: Reward, weights: Sequence[float]) -> Reward:
    """The weighted sum of the parts, which draw independently of each other."""
    if not isinstance(weights, list | tuple) or len(weights) != len(of) or not of:
        raise SpecError(f"weighted: weights must be a list with one number for each of the {len(of)} rewards in it")
    for i, weight in enumerate(weights):
        _number(f"weighted: weights[{i}]", weight)

    def reward(completions: Sequence[str], /, *, problem: Problem, draw: Draw, **kwargs: Any) -> list[float]:
        n = len(completions)
        columns = [
            checked(part(completions, problem=problem, draw=draw.of_part(i), **kwargs), n, "weighted", problem.id)
            for i, part in enumerate(of)
        ]
        return [sum(w * value for w, value in zip(weights, row, strict=True)) for row in zip(*columns, strict=True)]

    return reward


REWARDS: dict[str, Callable[..., Reward]] = {
    factory.__name__: factory
    for factory in (
        ground_truth,
        majority_vote,
        format,
        random,
        python_mention,
        no_python,
        behavior,
        no_repetition,
        constant,
        negative_entropy,
        self_certainty,
        shuffled,
        resampled,
        all_of,
        not_,
        weighted,
    )
}
"""Every built-in reward by name; those with positional parameters combine other rewards."""

READS_GROUP = frozenset({"majority_vote", "shuffled", "resampled"})
"""Those that pay a completion by what the others of its group say."""

DRAWS = frozenset({"random", "shuffled", "resampled"})
"""Those that draw."""


def _detector(detect: Callable[[str], bool | float]) -> Reward:
    """Pay what a detector says of each text."""

    def reward(completions: Sequence[str], /, **_: Any) -> list[float]:
        return [float(detect(text)) for text in completions]

    return reward


def _token_means(name: str, rows: Sequence[Sequence[float]], n: int, problem: Problem) -> list[float]:
    """The mean of each completion's per-token values, which the sampler must have recorded."""
    if len(rows) != n or any(len(row) == 0 for row in rows):
        raise RewardError(f"problem {problem.id!r}: the sampler recorded no {name}, which this reward is made of")
    return [math.fsum(row) / len(row) for row in rows]


def _binary(name: str, values: object, completions: Sequence[str], problem: Problem) -> list[float]:
    numbers = checked(values, len(completions), name, problem.id)
    for value in numbers:
        if value not in (0.0, 1.0):
            raise RewardError(
                f"{name} on problem {problem.id!r}: a part paid {value}, and only 0 or 1 can be combined so"
            )
    return numbers


def _number(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(f"{field} must be a finite number, not {value!r}")
