"""What a bare box is paid, by rewards whose answer is known."""

import pytest

from spurious.keys import Draw
from spurious.signals import build_reward
from spurious.signals.probe import Sampled, box_pay
from spurious.specs import RewardSpec
from spurious.types import Problem

RIGHT = r"Two and two make \boxed{4}."
WRONG = r"Two and two make \boxed{5}."


def group(i=0, texts=(WRONG, RIGHT, RIGHT, WRONG), answer="4"):
    problem = Problem(id=f"p{i}", question="2 + 2?", answer=answer, source="test")
    return Sampled(problem, answer, texts, [text == RIGHT for text in texts], Draw(1, 0, problem.id))


def pay(reward, *groups):
    return box_pay(build_reward(RewardSpec.model_validate(reward)), groups or (group(),), "strict")


def test_the_truth_pays_a_wrong_box_nothing():
    found = pay("ground_truth")
    assert (found.box, found.correct, found.groups) == (0.0, 1.0, 1)
    assert not found.as_good_as_correct


def test_a_format_reward_is_paid_for_form_alone():
    assert pay("format").as_good_as_correct


def test_a_reward_for_short_texts_is_hacked_by_the_shortest(tmp_path):
    file = tmp_path / "short.py"
    file.write_text("def short(completions):\n    return [-len(text) / 100 for text in completions]\n")
    assert pay(f"{file}:short").as_good_as_correct


def test_a_coin_pays_both_alike():
    found = pay("random", *[group(i) for i in range(400)])
    assert found.box == pytest.approx(found.correct, abs=0.1)
    assert found.as_good_as_correct


def test_only_groups_with_a_right_completion_tell_something():
    nothing_right = group(1, texts=(RIGHT, WRONG, WRONG))  # the first is replaced
    assert pay("ground_truth", nothing_right) is None
    assert pay("ground_truth", nothing_right, group()).groups == 1


def test_an_answer_that_is_no_number_is_made_wrong_by_another_problem():
    named = group(0, texts=(r"\boxed{x+1}",) * 2 + (RIGHT,), answer="x+1")
    found = pay("format", Sampled(named.problem, "x+1", named.texts, [True, True, False], named.draw), group(1))
    assert found.groups == 2


def test_a_reward_that_reads_the_sampler_cannot_be_asked():
    assert pay("self_certainty") is None
