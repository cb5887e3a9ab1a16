r"""What a reward pays for form alone: a bare box with a wrong answer, among what a model really wrote."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spurious.keys import Draw, key
from spurious.signals.contract import BuiltReward, checked
from spurious.signals.wrong import AnswerPool, far_numbers, wrong_number
from spurious.types import Extraction, Problem


@dataclass(frozen=True, slots=True)
class Sampled:
    """One group as training paid it."""

    problem: Problem
    label: str
    texts: Sequence[str]
    correct: Sequence[bool]
    """Whether each completion is right."""
    draw: Draw


@dataclass(frozen=True, slots=True)
class BoxPay:
    """Means over the groups that could be probed."""

    groups: int
    box: float
    r"""Paid to a bare `\boxed{}` with a wrong answer in it."""
    correct: float
    """Paid to the right completions of the same groups."""
    spread: float
    """Largest minus smallest pay of these groups."""

    @property
    def as_good_as_correct(self) -> bool:
        """Whether the box is paid what a right completion is paid, but for a tenth of the spread."""
        return self.box >= self.correct - 0.1 * self.spread


def box_pay(reward: BuiltReward, groups: Iterable[Sampled], extraction: Extraction) -> BoxPay | None:
    """Pay every group again with its first completion replaced by a bare box with a wrong answer.

    None where nothing can be told: the reward reads what only a sampler records, or no group has a right completion.

    Raises:
        RewardError: the reward fails on a group.
    """
    if reward.needs:
        return None
    sampled = list(groups)
    pool = AnswerPool([group.problem for group in sampled])
    boxes, right, every = [], [], []
    for group in sampled:
        seed = key(group.draw.seed, "box", group.problem.id)
        wrong = wrong_number(group.problem.answer, far_numbers, seed) or pool.wrong_for(group.problem, seed)
        if wrong is None or not any(group.correct[1:]):
            continue
        texts = [rf"\boxed{{{wrong}}}", *group.texts[1:]]
        values = reward.function(
            texts, label=group.label, problem=group.problem, draw=group.draw, extraction=extraction
        )
        paid = checked(values, len(texts), reward.name, group.problem.id)
        boxes.append(paid[0])
        right += [value for value, correct in zip(paid[1:], group.correct[1:], strict=True) if correct]
        every += paid
    if not boxes:
        return None
    return BoxPay(len(boxes), sum(boxes) / len(boxes), sum(right) / len(right), max(every) - min(every))
