"""Which rewards could know a true answer."""

import pytest

from spurious.keys import Draw
from spurious.signals import REWARDS, build_reward
from spurious.signals.truth import ignores_truth
from spurious.specs import LabelSpec, RewardSpec
from spurious.types import Problem

TRUE = LabelSpec()
LEAVES = {
    "ground_truth": {},
    "majority_vote": {},
    "format": {},
    "random": {},
    "python_mention": {},
    "no_python": {},
    "behavior": {"name": "boxed"},
    "no_repetition": {},
    "constant": {},
}
NEEDS_SAMPLER = {"negative_entropy", "self_certainty"}
COMBINE = {"shuffled", "resampled", "all_of", "not_", "weighted"}


def told(reward, source=None, label=TRUE):
    return not ignores_truth(RewardSpec.model_validate(reward), label, source)


def test_every_reward_is_sorted_here() -> None:
    assert set(REWARDS) == set(LEAVES) | NEEDS_SAMPLER | COMBINE


@pytest.mark.parametrize("name", LEAVES)
def test_a_reward_is_told_the_truth_exactly_where_another_truth_changes_its_pay(name: str) -> None:
    spec = RewardSpec(name=name, args=LEAVES[name])
    texts = [r"\boxed{1}", r"\boxed{2}", "python", r"\boxed{2}"]

    def paid(answer: str) -> list[float]:
        problem = Problem(id="p", question="?", answer=answer, source="test")
        return build_reward(spec).function(texts, label=answer, problem=problem, draw=Draw(0, 0, "p", 0))

    assert (paid("1") != paid("2")) is told(spec)


def test_combinations_know_what_their_parts_know_unless_the_link_is_broken() -> None:
    assert told({"all_of": ["format", {"not_": "ground_truth"}]})
    assert told({"name": "weighted", "of": ["ground_truth", "format"], "args": {"weights": [0.1, 1]}})
    assert not told({"name": "weighted", "of": ["ground_truth", "format"], "args": {"weights": [0, 1]}})
    assert not told({"all_of": ["format", "python_mention"]})
    for broken in ("shuffled", "resampled"):
        assert not told({broken: ["ground_truth"]})
        assert told({"all_of": [{broken: ["ground_truth"]}, "ground_truth"]})


def test_labels_decide_what_a_reward_of_labels_knows() -> None:
    assert told("ground_truth", label=LabelSpec(name="noise", args={"p": 0.5}))
    why = ignores_truth(RewardSpec(name="ground_truth"), LabelSpec(name="incorrect_only"))
    assert why == "The reward ground_truth was told incorrect_only labels in the place of the true answers."


@pytest.mark.parametrize(
    ("source", "knows"),
    [
        ("def pay(completions): ...", False),
        ("def pay(completions, *, draw): ...", False),
        ("def pay(completions, label): ...", True),
        ("def pay(completions, *, problem): ...", True),
        ("def pay(completions, **kwargs): ...", True),
        ("@wrapped\ndef pay(completions): ...", True),
        ("pay = other", True),
        ("def pay(", True),
        ("def pay(completions): ...\0", True),
        (None, True),
    ],
)
def test_a_reward_of_the_users_own_is_judged_by_its_signature(source: str | None, knows: bool) -> None:
    assert told("mine.py:pay", source) is knows


def test_the_problem_holds_the_truth_whatever_the_labels_are() -> None:
    assert told("mine.py:pay", "def pay(completions, problem): ...", LabelSpec(name="near"))
    assert not told("mine.py:pay", "def pay(completions, label): ...", LabelSpec(name="near"))
