import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.errors import RewardError, SpecError
from spurious.keys import Draw, permutation
from spurious.signals import REWARDS, build_reward, pay, rewards
from spurious.specs import RewardSpec

FORMS = {
    "ground_truth": "ground_truth",
    "majority_vote": "majority_vote",
    "format": "format",
    "random": {"random": {"gamma": 0.5}},
    "python_mention": "python_mention",
    "no_python": "no_python",
    "behavior": {"behavior": {"name": "trace"}},
    "no_repetition": "no_repetition",
    "constant": {"constant": {"value": 2}},
    "negative_entropy": "negative_entropy",
    "self_certainty": "self_certainty",
    "shuffled": {"shuffled": "ground_truth"},
    "resampled": {"resampled": "ground_truth"},
    "all_of": {"all_of": ["format", "no_python"]},
    "not_": {"not_": "python_mention"},
    "weighted": {"name": "weighted", "args": {"weights": [0.5, 2]}, "of": ["format", "ground_truth"]},
}
DRAWN = {"random", "shuffled", "resampled"}
HOSTILE = (
    "",
    "   \n",
    "\\boxed{",
    "\\boxed{}",
    "}" * 500 + "{" * 500,
    "\\boxed{" * 300,
    "\\boxed{9^{9^{9^{9}}}}",
    "\x00\ud800\u202e",
    "\\boxed{__import__('os').system('true')}",
    "```python\nwhile True: pass",
    "the answer is " * 400,
    "\\boxed{" + "1" * 5000 + "}",
)

texts = st.lists(
    st.one_of(
        st.sampled_from(["\\boxed{4}", "\\boxed{5}", "\\boxed{0.5}", "python", "", "no idea"]), st.text(max_size=30)
    ),
    min_size=1,
    max_size=8,
)


def build(name):
    return build_reward(RewardSpec.model_validate(FORMS[name]))


def test_every_built_in_reward_is_under_contract():
    assert set(FORMS) == set(REWARDS)


@pytest.mark.parametrize("name", FORMS)
@given(completions=texts)
def test_pays_one_finite_float_per_completion(name, completions, group, draw):
    paid = pay(build(name), group(completions), "4", draw)
    assert len(paid) == len(completions)
    assert all(type(value) is float and math.isfinite(value) for value in paid)


@pytest.mark.parametrize("name", FORMS)
def test_survives_hostile_completions(name, group, draw):
    assert len(pay(build(name), group(HOSTILE), "4", draw)) == len(HOSTILE)


@pytest.mark.parametrize("name", FORMS)
def test_a_group_of_empty_completions_is_paid(name, group, draw):
    assert len(pay(build(name), group(["", "", ""]), "4", draw)) == 3


@pytest.mark.parametrize("name", sorted(set(FORMS) - DRAWN))
@given(completions=texts, seed=st.integers(0, 2**32))
def test_without_a_draw_pay_follows_the_completion_wherever_it_stands(name, completions, seed, group, draw):
    whole = group(completions)
    order = permutation(seed, len(completions))
    moved = replace(whole, completions=tuple(whole.completions[i] for i in order))
    paid = pay(build(name), whole, "4", draw)
    assert pay(build(name), moved, "4", draw) == tuple(paid[i] for i in order)


@pytest.mark.parametrize("name", sorted(DRAWN))
@given(completions=texts)
def test_a_drawn_reward_is_the_same_for_the_same_key(name, completions, group):
    paid = [pay(build(name), group(completions), "4", Draw(7, 2, "p1", 1)) for _ in range(2)]
    assert paid[0] == paid[1]


@pytest.mark.parametrize("name", sorted(DRAWN))
@pytest.mark.parametrize("changed", [{"seed": 8}, {"step": 3}, {"problem_id": "p2"}, {"copy": 0}])
def test_a_drawn_reward_differs_for_another_seed_step_problem_or_copy(name, changed, group):
    # 64 completions, half of them right: two independent draws agree with probability below 2**-50
    completions = [f"\\boxed{{{4 if i % 2 else 5}}}" for i in range(64)]
    key = Draw(7, 2, "p1", 1)
    paid = pay(build(name), group(completions), "4", key)
    assert paid != pay(build(name), group(completions), "4", replace(key, **changed))


@pytest.mark.parametrize("name", sorted(set(FORMS) - DRAWN))
def test_a_reward_that_draws_nothing_ignores_the_key(name, group):
    completions = ["\\boxed{4}", "python \\boxed{5}", ""]
    first, second = (pay(build(name), group(completions), "4", Draw(seed, 0, "p1")) for seed in (0, 1))
    assert first == second


def test_ground_truth_pays_for_the_label_it_is_told(group, draw):
    texts = ["\\boxed{4}", "\\boxed{5}", "4", "\\boxed{4.0}"]
    assert pay(build("ground_truth"), group(texts), "4", draw) == (1.0, 0.0, 0.0, 1.0)
    assert pay(build("ground_truth"), group(texts), "5", draw) == (0.0, 1.0, 0.0, 0.0)
    assert pay(build("ground_truth"), group(texts), "4", draw, "lenient") == (1.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("label", ["", "  \n"])
def test_an_empty_label_is_refused(label, group, draw):
    with pytest.raises(RewardError, match=r"'p1'.*label is empty"):
        pay(build("ground_truth"), group(["\\boxed{}", "x"]), label, draw)


def test_majority_vote_pays_the_most_common_answer(group, draw):
    texts = ["\\boxed{7}", "\\boxed{4}", "\\boxed{7}", "no answer"]
    assert pay(build("majority_vote"), group(texts), "4", draw) == (1.0, 0.0, 1.0, 0.0)


def test_equivalent_answers_vote_together(group, draw):
    texts = ["\\boxed{\\frac{1}{2}}", "\\boxed{3}", "\\boxed{0.5}", "\\boxed{3}", "\\boxed{1/2}"]
    assert pay(build("majority_vote"), group(texts), "9", draw) == (1.0, 0.0, 1.0, 0.0, 1.0)


@given(order=st.permutations(["\\boxed{7}", "\\boxed{7}", "\\boxed{30}", "\\boxed{30}", "", ""]))
def test_ties_are_broken_by_text_not_by_order(order, group, draw):
    paid = pay(build("majority_vote"), group(order), "4", draw)
    assert {text for text, value in zip(order, paid, strict=True) if value} == {"\\boxed{7}"}  # "7" > "30" as text


def test_nobody_is_paid_when_nobody_answers(group, draw):
    assert pay(build("majority_vote"), group(["", "\\boxed{}", "hm"]), "4", draw) == (0.0, 0.0, 0.0)


def test_format_pays_a_balanced_box_that_holds_something(group, draw):
    texts = ["\\boxed{x}", "boxed{x}", "\\boxed{x", "\\boxed{ }", "4", "\\boxed{\\frac{1}{2}}"]
    assert pay(build("format"), group(texts), "4", draw) == (1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def test_python_rewards_are_each_others_negation(group, draw):
    texts = ["PyThOn", "```python\n1\n```", "pyth on", ""]
    assert pay(build("python_mention"), group(texts), "4", draw) == (1.0, 1.0, 0.0, 0.0)
    assert pay(build("no_python"), group(texts), "4", draw) == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(("gamma", "expected"), [(0, 0.0), (1, 1.0)])
def test_random_at_its_ends_is_constant(gamma, expected, group, draw):
    reward = build_reward(RewardSpec(name="random", args={"gamma": gamma}))
    assert pay(reward, group([""] * 16), "4", draw) == (expected,) * 16


def test_random_pays_a_share_gamma():
    # 20,000 coins at 0.3: sd of the mean is 0.0032, so 0.02 is six of them
    coins = [
        value
        for step in range(1250)
        for value in rewards.random(gamma=0.3)([""] * 16, label="4", problem=None, draw=Draw(1, step, "p"))
    ]
    assert abs(sum(coins) / len(coins) - 0.3) < 0.02


def test_random_does_not_depend_on_the_text(group, draw):
    reward = build("random")
    assert pay(reward, group(["a"] * 8), "4", draw) == pay(reward, group(["\\boxed{4}"] * 8), "4", draw)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, math.nan, "0.5", True, None])
def test_random_refuses_what_is_no_probability(gamma):
    with pytest.raises(SpecError, match="gamma"):
        rewards.random(gamma=gamma)


def test_confidence_rewards_are_means_over_tokens(group, draw):
    # entropies of completion i are (i, i + 1) and its certainties (2i, 2i)
    assert pay(build("negative_entropy"), group(["a", "b"]), "4", draw) == (-0.5, -1.5)
    assert pay(build("self_certainty"), group(["a", "b"]), "4", draw) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("name", "needed"), [("negative_entropy", "entropies"), ("self_certainty", "self_certainties")]
)
def test_confidence_rewards_refuse_a_silent_sampler(name, needed, group, draw):
    assert build(name).needs == {needed}
    with pytest.raises(RewardError, match=f"'p1'.*{needed}"):
        pay(build(name), group(["a", "b"], confidences=False), "4", draw)


def test_a_named_behavior_is_paid_where_it_shows(group, draw):
    texts = ["key='31'\nkey='13'\n", "key='31'", "say python"]
    paid = {
        name: pay(build_reward(RewardSpec(name="behavior", args={"name": name})), group(texts), "4", draw)
        for name in ("trace", "code_reasoning")
    }
    assert paid == {"trace": (1.0, 0.0, 0.0), "code_reasoning": (0.0, 0.0, 1.0)}


@pytest.mark.parametrize("name", ["steps", "characters", "no such", 3, None])
def test_only_a_behavior_that_is_there_or_not_can_be_paid(name):
    with pytest.raises(SpecError, match=r"reward: behavior: name must be one of code_reasoning, .*trace, .*, not"):
        build_reward(RewardSpec(name="behavior", args={"name": name}))
