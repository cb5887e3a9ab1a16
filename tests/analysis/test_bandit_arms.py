"""The arms of the two-arm comparison, and what counts as a claim that holds."""

import numpy as np
import pytest

from spurious.analysis.bandit import Settings, Simulation, simulate
from spurious.analysis.bandit_arms import BINS, arms, claims, paired, summarize
from spurious.errors import InputError

BASE = Settings(samples=4, updates=8, lr=0.1)


def ended(settings, final):
    final = np.array(final)
    path = np.array([settings.p0, final.mean()])
    return Simulation(settings, final, (0, settings.steps), path, np.array([settings.p0, np.median(final)]), 0.0, 0.0)


def test_every_bound_alone_and_none():
    made = arms(BASE, ("reinforce", "rloo", "grpo"), 0.05)
    bounds = {name: (one.clip_low, one.clip_high) for name, one in made.items() if one.has_ratio}
    assert bounds == {
        "grpo, clip 0.2": (0.2, 0.2),
        "grpo, clip 0.05": (0.05, 0.05),
        "grpo, low 0.2 only": (0.2, None),
        "grpo, high 0.2 only": (None, 0.2),
        "grpo, no clip": (None, None),
    }
    rates = {name: one.lr for name, one in made.items() if not one.has_ratio}
    assert rates == {"reinforce": 0.1, "reinforce, lr x 8": 0.8, "rloo": 0.1, "rloo, lr x 8": 0.8}
    assert all(one.passes == 1 for one in made.values() if not one.has_ratio)


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (None, None, ["no clip"]),
        (0.2, None, ["low 0.2 only", "low 0.05 only", "no clip"]),
        (None, 0.2, ["high 0.2 only", "high 0.05 only", "no clip"]),
        (0.2, 0.28, ["clip 0.2/0.28", "clip 0.05", "low 0.2 only", "high 0.28 only", "no clip"]),
    ],
)
def test_absent_bounds_stay_absent(low, high, names):
    made = arms(Settings(clip_low=low, clip_high=high), ("grpo",), 0.05)
    assert list(made) == [f"grpo, {name}" for name in names]


@pytest.mark.parametrize("small", [0.2, 0.3, -0.1])
def test_the_small_clip_is_smaller(small):
    with pytest.raises(InputError, match=r"^small_clip:"):
        arms(BASE, ("grpo",), small)


def test_a_summary_by_hand():
    end = summarize(ended(BASE, [0.01, 0.69, 0.82, 0.98]))
    assert (end.mean, end.median, end.above) == pytest.approx((0.625, 0.755, 0.5))
    assert end.se == pytest.approx(np.sqrt((0.615**2 + 0.065**2 + 0.195**2 + 0.355**2) / 3 / 4))
    assert (end.low, end.high) == pytest.approx((0.01 + 0.15 * 0.68, 0.82 + 0.85 * 0.16))
    assert [(i, n) for i, n in enumerate(end.counts) if n] == [(0, 1), (13, 1), (16, 1), (BINS - 1, 1)]


def test_one_seed_has_no_error():
    assert summarize(ended(BASE, [0.4])).se is None


def test_bounds_against_none_seed_by_seed():
    made = arms(BASE, ("grpo",), 0.05)
    ends = {name: [0.5, 0.5] for name in made} | {"grpo, clip 0.2": [0.6, 0.9]}
    gaps = paired({name: ended(made[name], final) for name, final in ends.items()})
    assert [one.arm for one in gaps] == [name for name in made if name != "grpo, no clip"]
    assert (gaps[0].difference, gaps[0].se) == pytest.approx((0.25, 0.15))


def found(**finals):
    names = {"reinforce": "reinforce", "wide": "grpo, clip 0.2", "narrow": "grpo, clip 0.05"}
    made = arms(BASE, ("reinforce", "grpo"), 0.05)
    return claims({names[word]: ended(made[names[word]], final) for word, final in finals.items()})


def test_claims_that_hold():
    holding = found(reinforce=[0.69, 0.7, 0.71], wide=[0.15, 0.96, 0.99], narrow=[0.6, 0.73, 0.77])
    assert [claim.holds for claim in holding] == [True] * 6


def test_claims_that_do_not():
    failing = found(reinforce=[0.6, 0.67, 0.8], wide=[0.1, 0.7, 0.75], narrow=[0.0, 0.71, 0.72])
    assert [claim.holds for claim in failing] == [False] * 6


def test_the_claims_are_about_a_likely_arm():
    one = Settings("reinforce", p0=0.4, steps=3)
    assert claims({"reinforce": simulate(one, range(3))}) == []
