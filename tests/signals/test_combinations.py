from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.errors import RewardError, SpecError
from spurious.keys import Draw
from spurious.signals import rewards
from spurious.types import Problem

N = 4096
LEAVES = 8
PROBLEM = Problem(id="p", question="2 + 2?", answer="4", source="test")


def paid(reward, n=N, draw=None, texts=None):
    return reward(texts or [""] * n, label="4", problem=PROBLEM, draw=draw or Draw(5, 1, "p"))


def record():
    """A reward that pays nothing and keeps the coins it could have flipped."""
    seen = []

    def reward(completions, /, *, draw, **kwargs):
        seen.append(draw.uniforms(len(completions)))
        return [0.0] * len(completions)

    return reward, seen


def test_parts_of_a_combination_draw_independently():
    # both coins agree half of the time if independent: 4096 coins, sd 0.0078; always if they share their noise
    both = paid(rewards.all_of(rewards.random(), rewards.random()))
    assert abs(sum(both) / N - 0.25) < 0.04
    summed = Counter(paid(rewards.weighted(rewards.random(), rewards.random(), weights=[1, 2])))
    assert all(abs(summed[value] / N - 0.25) < 0.04 for value in (0.0, 1.0, 2.0, 3.0))


@pytest.mark.parametrize("combine", [rewards.all_of, lambda *of: rewards.weighted(*of, weights=[1] * len(of))])
def test_no_two_leaves_of_a_deep_tree_share_their_noise(combine):
    leaves = [record() for _ in range(LEAVES)]
    a, b, c, d, e, f, g, h = (reward for reward, _ in leaves)
    paid(combine(combine(a, b), combine(combine(c, d), rewards.shuffled(e)), combine(rewards.not_(f), g), h), n=8)
    draws = sorted(tuple(seen[0]) for _, seen in leaves)
    assert all(one != other for one, other in pairwise(draws))


def test_the_first_part_sees_the_noise_it_would_see_alone():
    alone = paid(rewards.random())
    assert paid(rewards.all_of(rewards.random(), rewards.constant(1))) == alone
    assert paid(rewards.not_(rewards.not_(rewards.random()))) == alone


def test_nested_shuffles_draw_different_orders():
    # a permutation applied twice has two fixed points on average, two independent ones together have one
    texts = [str(i) for i in range(64)]

    def index(completions, /, **kwargs):
        return [float(text) for text in completions]

    def fixed_points(step):
        twice = rewards.shuffled(rewards.shuffled(index))
        return sum(value == i for i, value in enumerate(paid(twice, draw=Draw(1, step, "p"), texts=texts)))

    # 2,000 groups: the mean is 1 with sd 1 / sqrt(2000) = 0.022
    assert abs(sum(fixed_points(step) for step in range(2000)) / 2000 - 1) < 0.15


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=16), step=st.integers(0, 1000))
def test_shuffled_keeps_exactly_the_values_of_the_group(values, step):
    shuffled = rewards.shuffled(lambda completions, **kwargs: values)
    assert sorted(paid(shuffled, n=len(values), draw=Draw(1, step, "p"))) == sorted(values)


def test_shuffled_permutes_what_the_treatment_itself_would_pay():
    draw = Draw(3, 4, "p")
    own = paid(rewards.random(0.2), n=64, draw=draw)
    order = draw.permutation(64, "shuffled at depth 0")
    assert paid(rewards.shuffled(rewards.random(0.2)), n=64, draw=draw) == [own[i] for i in order]


def test_shuffled_loses_which_completion_earned_what():
    # one of 8 completions is right; over 800 groups each place is paid about 100 times (sd 9.4)
    texts = ["\\boxed{4}"] + ["\\boxed{5}"] * 7
    counts = [0.0] * 8
    for step in range(800):
        for i, value in enumerate(paid(rewards.shuffled(rewards.ground_truth()), draw=Draw(1, step, "p"), texts=texts)):
            counts[i] += value
    assert sum(counts) == 800
    assert all(50 < count < 150 for count in counts)


def test_all_of_and_not_are_logic():
    texts = ["python \\boxed{1}", "\\boxed{1}", "python", ""]
    assert paid(rewards.all_of(rewards.format(), rewards.no_python()), texts=texts) == [0.0, 1.0, 0.0, 0.0]
    assert paid(rewards.not_(rewards.format()), texts=texts) == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("combine", [rewards.not_, rewards.all_of])
def test_logic_refuses_what_is_not_zero_or_one(combine):
    with pytest.raises(RewardError, match=r"'p'.*paid 0\.5"):
        combine(rewards.constant(0.5))([""], label="4", problem=PROBLEM, draw=Draw(0, 0, "p"))


def test_weighted_adds():
    texts = ["\\boxed{1}", "python", ""]
    reward = rewards.weighted(rewards.format(), rewards.python_mention(), weights=[0.25, -2])
    assert paid(reward, texts=texts) == [0.25, -2.0, 0.0]


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, "2"], [1, float("inf")], "12", 3, [True, 1]])
def test_weighted_refuses_weights_that_do_not_fit(weights):
    with pytest.raises(SpecError, match="weights"):
        rewards.weighted(rewards.format(), rewards.no_python(), weights=weights)


def test_an_empty_combination_is_refused():
    with pytest.raises(SpecError, match="all_of"):
        rewards.all_of()


def test_resampled_is_a_coin_of_the_group_s_own_rate():
    quarter = rewards.resampled(lambda completions, **_: [float(i % 4 == 0) for i in range(len(completions))])
    values = paid(quarter)
    assert set(values) == {0.0, 1.0}
    assert abs(sum(values) / N - 0.25) < 0.04
    # independent of what the texts earned: 1/4 of those that would have been paid, sd 0.0135
    earned = values[::4]
    assert abs(sum(earned) / len(earned) - 0.25) < 0.07


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.integers(0, 99))
def test_resampled_pays_only_values_of_the_group(values, step):
    resampled = rewards.resampled(lambda completions, **kwargs: values)
    assert set(paid(resampled, n=len(values), draw=Draw(1, step, "p"))) <= set(values)
