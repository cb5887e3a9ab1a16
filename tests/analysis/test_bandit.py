"""Two arms: the simulation against every outcome written out, one pull at a time."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from spurious.analysis import bandit
from spurious.analysis.bandit import MARKS, Settings, simulate
from spurious.analysis.bandit_exact import affordable, band, clip_bias, exact, expected_gradient
from spurious.errors import InputError
from spurious.grpo.clip_bias import bias_coefficients
from spurious.keys import key, uniforms

START = math.log(0.7 / 0.3)


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def learned(z, pulls, s):
    """One step on a list of (arm, reward), in the words of the estimators' definitions."""
    rewards = [reward for _, reward in pulls]
    n, mean = len(rewards), sum(rewards) / len(rewards)
    if s.estimator == "rloo":
        advantages = [r - (sum(rewards) - r) / (n - 1) for r in rewards]
    elif s.estimator == "grpo_group":
        std = math.sqrt(sum((r - mean) ** 2 for r in rewards) / (n - 1))
        advantages = [(r - mean) / std if std else 0.0 for r in rewards]
    else:
        advantages = [(r - s.gamma) / math.sqrt(s.gamma * (1 - s.gamma)) for r in rewards]
    ratios = s.estimator.startswith("grpo")
    old = sigmoid(z)
    for update in range(s.updates if ratios else 1):
        chosen = range(n)
        if ratios and s.split:
            size = n // s.updates
            chosen = range(update * size, (update + 1) * size)
        p, slope = sigmoid(z), 0.0
        for i in chosen:
            arm, advantage = pulls[i][0], advantages[i]
            score = 1 - p if arm else -p
            if ratios:
                ratio = p / old if arm else (1 - p) / (1 - old)
                if advantage > 0 and s.clip_high is not None and ratio > 1 + s.clip_high:
                    continue
                if advantage < 0 and s.clip_low is not None and ratio < 1 - s.clip_low:
                    continue
                score *= ratio
            slope += advantage * score
        z += s.lr * slope / len(chosen)
    return z


def enumerated(z, steps, s):
    """(parameter, probability) of every sequence of pulls and rewards."""
    if not steps:
        return [(z, 1.0)]
    found = []
    for pulls in product(product((1, 0), (1, 0)), repeat=s.samples):
        chance = 1.0
        for arm, reward in pulls:
            chance *= (sigmoid(z) if arm else 1 - sigmoid(z)) * (s.gamma if reward else 1 - s.gamma)
        found += [(end, chance * rest) for end, rest in enumerated(learned(z, pulls, s), steps - 1, s)]
    return found


SMALL = {
    "reinforce": Settings("reinforce", samples=2, lr=0.7),
    "rloo": Settings("rloo", samples=2, lr=0.7, gamma=0.3),
    "clip": Settings(samples=2, updates=4, lr=0.7),
    "tight clip": Settings(samples=2, updates=4, lr=0.7, clip_low=0.05, clip_high=0.08, gamma=0.3),
    "low only": Settings(samples=2, updates=4, lr=0.7, clip_high=None),
    "high only": Settings(samples=2, updates=4, lr=0.7, clip_low=None),
    "no clip": Settings(samples=2, updates=4, lr=0.7, clip_low=None, clip_high=None),
    "group": Settings("grpo_group", samples=2, updates=4, lr=0.7),
    "dealt out": Settings(samples=2, updates=2, lr=2.0, split=True, clip_low=0.1),
    "group, dealt out": Settings("grpo_group", samples=2, updates=2, lr=2.0, split=True),
}
small = pytest.mark.parametrize("settings", SMALL.values(), ids=SMALL.keys())


@small
def test_exact_is_the_sum_over_all_sequences(settings):
    ends = sorted(enumerated(START, 2, settings))
    found = exact(settings, 2)
    assert found.weight.sum() == pytest.approx(1, abs=1e-12)
    assert found.mean == pytest.approx(sum(sigmoid(z) * chance for z, chance in ends), abs=1e-12)
    for power in (2, 3):
        moment = sum(sigmoid(z) ** power * chance for z, chance in ends)
        assert found.p**power @ found.weight == pytest.approx(moment, abs=1e-12)
    below = 0.0
    for z, chance in ends:
        below += chance
        if below >= 0.5 - 1e-12:
            assert found.median == pytest.approx(sigmoid(z), abs=1e-9)
            break


@small
def test_simulation_agrees_with_exact(settings):
    final = simulate(replace(settings, steps=3), range(4000)).final
    found = exact(settings, 3)
    error = math.sqrt((found.p**2 @ found.weight - found.mean**2) / len(final))
    assert error > 0
    assert abs(final.mean() - found.mean) < 4 * error
    share = float(found.weight[found.p > 0.7 + 1e-9].sum())
    assert abs((final > 0.7 + 1e-9).mean() - share) < 4 * math.sqrt(share * (1 - share) / len(final))


@small
def test_a_seed_is_what_its_keys_say(settings):
    steps, n = 12, settings.samples
    z = START
    choice, luck = (uniforms(key(7, "bandit", what), steps * n) for what in ("arm", "reward"))
    for step in range(steps):
        places = range(step * n, (step + 1) * n)
        z = learned(z, [(int(choice[i] < sigmoid(z)), int(luck[i] < settings.gamma)) for i in places], settings)
    assert simulate(replace(settings, steps=steps), [7]).final[0] == pytest.approx(sigmoid(z), abs=1e-9)


def test_one_step_of_reinforce_by_hand():
    # Arm 1 moves z by .1 x .3, arm 0 by .1 x .7, up or down with equal chance.
    found = exact(Settings("reinforce", samples=1, lr=0.1), 1)
    moves = ((-0.07, 0.15), (-0.03, 0.35), (0.03, 0.35), (0.07, 0.15))
    np.testing.assert_allclose(found.p, [sigmoid(START + move) for move, _ in moves], rtol=1e-12)
    np.testing.assert_allclose(found.weight, [chance for _, chance in moves], rtol=1e-12)
    assert found.median == pytest.approx(sigmoid(START - 0.03))


def test_reinforce_leaves_the_mean_parameter_and_not_the_mean_probability():
    found = exact(Settings("reinforce", samples=2, lr=0.5), 3)
    assert np.log(found.p / (1 - found.p)) @ found.weight == pytest.approx(START, abs=1e-12)
    assert found.mean < 0.7 - 1e-4  # sigma is concave above one half


@pytest.mark.parametrize(("samples", "updates", "lr", "steps"), [(2, 4, 0.7, 2), (4, 8, 0.25, 3), (16, 20, 0.25, 1)])
def test_the_upper_bound_lifts_the_mean_and_the_lower_one_takes_some_of_it_back(samples, updates, lr, steps):
    low, high, none, both = (
        exact(Settings(samples=samples, updates=updates, lr=lr, clip_low=low, clip_high=high), steps).mean
        for low, high in ((0.2, None), (None, 0.2), (None, None), (0.2, 0.2))
    )
    assert max(low, none) < both < high


@given(p0=st.floats(0.05, 0.95))
def test_the_arms_are_alike(p0):
    one, other = (exact(replace(SMALL["clip"], p0=p), 2) for p in (p0, 1 - p0))
    assert one.mean == pytest.approx(1 - other.mean, abs=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 1.0])
@pytest.mark.parametrize("estimator", ["reinforce", "rloo", "grpo", "grpo_group"])
def test_a_constant_reward_moves_nothing(estimator, gamma):
    one = simulate(Settings(estimator, gamma=gamma, steps=5), range(5))
    assert (one.final == one.mean[0]).all()
    assert one.clipped_low == one.clipped_high == 0


def test_bounds_that_no_ratio_reaches_are_no_bounds():
    one, other = (
        simulate(replace(SMALL["clip"], clip_low=low, clip_high=high, steps=30), range(50))
        for low, high in ((None, None), (1.0, 1e9))
    )
    np.testing.assert_array_equal(one.final, other.final)
    assert one.clipped_low == one.clipped_high == other.clipped_low == other.clipped_high == 0


def test_one_update_is_never_clipped():
    one, bare = (simulate(Settings(updates=1, steps=30, clip_low=c, clip_high=c), range(50)) for c in (0.0, None))
    np.testing.assert_array_equal(one.final, bare.final)
    assert one.clipped_low == one.clipped_high == 0


def test_what_the_bounds_take_away_is_counted():
    # One pull, updates so large that the second one is outside the band whatever happened in the first.
    one = simulate(Settings(samples=1, steps=1, updates=2, lr=5.0), range(400))
    praised = np.mean([uniforms(key(seed, "bandit", "reward"), 1)[0] < 0.5 for seed in range(400)])
    assert (one.clipped_high, one.clipped_low) == pytest.approx((praised / 2, (1 - praised) / 2))


def test_a_seed_does_not_depend_on_the_others(monkeypatch):
    settings = Settings(samples=4, steps=20)
    together = simulate(settings, range(10))
    np.testing.assert_array_equal(simulate(settings, [5, 3]).final, together.final[[5, 3]])
    monkeypatch.setattr(bandit, "CHUNK", 3 * 80)
    chunked = simulate(settings, range(10))
    np.testing.assert_array_equal(chunked.final, together.final)
    np.testing.assert_array_equal(chunked.median, together.median)
    assert (chunked.clipped_low, chunked.clipped_high) == (together.clipped_low, together.clipped_high)


def test_a_short_run_is_the_start_of_a_long_one():
    long, short = (simulate(Settings(samples=4, steps=steps), range(10)) for steps in (2 * MARKS, MARKS))
    place = long.marks.index(MARKS)
    assert (long.mean[place], long.median[place]) == (short.mean[-1], short.median[-1])
    assert (long.marks[0], long.marks[-1], len(long.marks)) == (0, 2 * MARKS, MARKS + 1)
    assert long.mean[0] == pytest.approx(0.7)


probabilities = st.floats(0.01, 0.99)
bounds = st.none() | st.floats(0.01, 0.9)


@given(p=probabilities, old=probabilities, low=bounds, high=bounds, gamma=st.floats(0, 1))
def test_the_clip_bias_of_the_paper_is_the_enumerated_one(p, old, low, high, gamma):
    # On the edge itself the gradient has two one-sided values, and rounding decides which one each method takes.
    for ratio in (p / old, (1 - p) / (1 - old)):
        assume(low is None or abs(ratio - (1 - low)) > 1e-9)
        assume(high is None or abs(ratio - (1 + high)) > 1e-9)
    settings = Settings(samples=3, gamma=gamma, clip_low=low, clip_high=high)
    gap = expected_gradient(p, old, settings) - expected_gradient(
        p, old, replace(settings, clip_low=None, clip_high=None)
    )
    policy, before = (torch.tensor([x, 1 - x], dtype=torch.float64) for x in (p, old))
    mass = math.sqrt(gamma * (1 - gamma))
    coefficients = bias_coefficients(
        policy.log() - before.log(), clip_low=low, clip_high=high, positive_mass=mass, negative_mass=mass
    )
    formula = float((before * coefficients * torch.tensor([1 - p, -p], dtype=torch.float64)).sum())
    assert gap == pytest.approx(formula, abs=1e-9)
    assert clip_bias(p, old, settings) == pytest.approx(formula, abs=1e-9)


@given(p=probabilities, old=probabilities, gamma=st.floats(0, 1))
def test_without_bounds_the_expected_gradient_is_zero(p, old, gamma):
    settings = Settings(samples=2, gamma=gamma, clip_low=None, clip_high=None)
    assert expected_gradient(p, old, settings) == pytest.approx(0, abs=1e-9)


def test_worked_example_of_the_paper():
    likely, rare = band(0.85, 0.2), band(0.02, 0.2)
    assert (likely.low, likely.high) == pytest.approx((0.68, 1.02))
    assert (likely.reachable, likely.sign) == (False, "+ below, never -")
    assert (rare.low, rare.high) == pytest.approx((0.016, 0.024))
    assert (rare.reachable, rare.sign) == (True, "+ below, - above")


@pytest.mark.parametrize(("p_old", "up", "down"), [(0.85, 0.82, 0.88), (0.02, 0.016, 0.024), (0.5, 0.4, 0.6)])
def test_with_a_second_arm_both_ends_are_reached(p_old, up, down):
    # The other arm of .15 leaves its own band [.12, .18] when this one passes .88 or .82.
    found = band(p_old, 0.2)
    assert (found.up_below, found.down_above) == pytest.approx((up, down))
    settings = Settings()
    for edge, inside, outside in ((up, 1e-6, -1e-6), (down, -1e-6, 1e-6)):
        assert clip_bias(edge + inside, p_old, settings) == 0
        assert clip_bias(edge + outside, p_old, settings) * outside < 0


@pytest.mark.parametrize(("p_old", "eps", "field"), [(0, 0.2, "p_old"), (1, 0.2, "p_old"), (0.5, 1.1, "eps")])
def test_a_band_needs_a_probability(p_old, eps, field):
    with pytest.raises(InputError, match=f"^{field}:"):
        band(p_old, eps)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("p0", {"p0": 0.0}),
        ("p0", {"p0": 1.0}),
        ("p0", {"p0": math.nan}),
        ("gamma", {"gamma": 1.1}),
        ("steps", {"steps": 0}),
        ("samples", {"samples": 0}),
        ("samples", {"estimator": "rloo", "samples": 1}),
        ("samples", {"split": True, "samples": 16, "updates": 5}),
        ("updates", {"updates": 0}),
        ("lr", {"lr": 0.0}),
        ("lr", {"lr": math.inf}),
        ("clip_low", {"clip_low": 1.1}),
        ("clip_high", {"clip_high": -0.1}),
    ],
)
def test_bad_settings_are_named(field, values):
    with pytest.raises(InputError, match=f"^{field}:"):
        Settings(**values)


def test_no_seeds_are_refused():
    with pytest.raises(InputError, match=r"^seeds:"):
        simulate(Settings(), [])


def test_huge_steps_stay_probabilities():
    for bound in (None, 0.2):
        final = simulate(Settings(samples=1, lr=1e12, clip_low=bound, clip_high=bound, steps=50), range(100)).final
        assert ((final >= 0) & (final <= 1)).all()


def test_too_many_outcomes_are_refused():
    assert [affordable(Settings(samples=n)) for n in (1, 2, 16)] == [9, 6, 2]
    assert affordable(Settings(samples=40, updates=20, split=True)) == 0
    with pytest.raises(InputError, match=r"^steps: 3 "):
        exact(Settings(samples=16), 3)
