"""Signs of a breakdown, on runs made to show one each."""

import numpy as np
import pytest

from spurious.analysis.collapse import IN_A_ROW, collapse


def run(**series):
    return {name: np.array(values, dtype=float) for name, values in series.items()}


def test_each_sign_begins_where_it_first_holds_three_times():
    steps = range(0, 80, 10)
    found = collapse(
        steps,
        run(
            entropy=[0.5, 0.01, 0.5, 0.4, 0.02, 0.01, 0.0, 0.0],
            signal=[0.5, 0.0, 0.0, 0.3, 0.2, 0.0, 0.0, 0.0],
            truncated=[0.1, 0.1, 0.5, 0.6, 0.9, 1.0, 1.0, 1.0],
            loops=[0.0] * 6 + [0.9, 0.9],
        ),
    )
    assert found == {"no entropy": 40, "no signal": 50, "cut off": 20, "loops": None}
    assert IN_A_ROW == 3


def test_a_model_that_was_sure_from_the_start_has_not_collapsed():
    sure = np.array([0.04, 0.02, 0.015, 0.012, 0.012])
    assert collapse(range(5), {"entropy": sure}) == {"no entropy": None}
    assert collapse(range(5), {"entropy": np.array([0.04, 0.01, 0.009, 0.01, 0.02])}) == {"no entropy": 1}


def test_a_reward_that_never_had_a_signal_has_not_lost_it():
    assert collapse(range(6), run(signal=[0.0] * 6)) == {"no signal": None}


def test_accuracy_is_measured_against_its_own_maximum():
    rise_and_fall = [0.3, 0.5, 0.7, 0.8, 0.8, 0.8, 0.7, 0.5, 0.3, 0.2, 0.2, 0.2]
    # Smoothed over five steps the maximum is .76 at step 4; .62, .5 and .38 follow at steps 6 to 8. The squared
    # differences add up to .19, so that four errors are 4 sqrt(.19 / 11 / 2) sqrt(2 / 3) = .30 (by hand).
    assert collapse(range(12), run(accuracy=rise_and_fall)) == {"accuracy fell": 8}
    assert collapse(range(6), run(accuracy=rise_and_fall[:6])) == {"accuracy fell": None}
    low = [0.2] * 12
    assert collapse(range(12), run(accuracy=low)) == {"accuracy fell": None}


@pytest.mark.parametrize(("deviation", "n"), [(0.15, 40), (0.1, 200)])
def test_noise_is_no_fall(deviation, n):
    generator = np.random.default_rng(0)
    fallen = [
        collapse(range(n), run(accuracy=np.clip(generator.normal(0.5, deviation, n), 0, 1)))["accuracy fell"]
        for _ in range(200)
    ]
    assert sum(one is not None for one in fallen) <= 6


def test_a_gradient_far_above_its_usual_norm_is_a_spike():
    usual = [0.1, 0.2, 0.0, 0.1, 0.3, 0.2, 0.1]  # without the step that had no gradient the median is .15
    assert collapse(range(8), run(gradient=[*usual, 1.51])) == {"spike": 7}
    assert collapse(range(8), run(gradient=[*usual, 1.49])) == {"spike": None}
    assert collapse(range(6), run(gradient=[0.1, 0.1, 0.1, 0.1, 0.0, 9.0])) == {"spike": None}  # four steps: too few
    grown = [0.1 * 1.2**k for k in range(40)]  # a thousandfold, but step by step
    assert collapse(range(40), run(gradient=grown)) == {"spike": None}


def test_noise_is_no_spike():
    generator = np.random.default_rng(0)
    runs = [generator.lognormal(-2, 0.5, 200) for _ in range(200)]
    assert sum(collapse(range(200), run(gradient=one))["spike"] is not None for one in runs) <= 4


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_a_few_steps_show_nothing(n):
    assert set(collapse(range(n), run(entropy=[0.5] * n, accuracy=[0.5] * n)).values()) <= {None}
