"""When a curve moved, on curves whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurious.analysis.onset import centered, first_passage, onset


def test_a_moving_average_without_lag():
    assert centered(np.array([0.0, 3.0, 6.0, 3.0, 0.0])).tolist() == [3.0, 3.0, 2.4, 3.0, 3.0]
    line = np.arange(9.0)
    assert centered(line)[2:-2].tolist() == line[2:-2].tolist()


def test_first_passage_is_interpolated():
    x, y = np.array([0.0, 10.0, 20.0, 30.0]), np.array([0.0, 0.5, 0.4, 1.0])
    assert first_passage(x, y, 0.25) == 5.0
    assert first_passage(x, y, 0.45) == 9.0
    assert first_passage(x, y, 0.7) == pytest.approx(25.0)
    assert first_passage(x, y, 0.0) == 0.0
    with pytest.raises(ValueError, match="never"):
        first_passage(x, y, 2.0)


def test_a_ramp_by_hand():
    # Flat at 0 to step 10, up by 0.1 a step, flat at 1 from step 20; smoothing leaves the slope's middle as it is.
    values = [0.0] * 10 + [i / 10 for i in range(11)] + [1.0] * 10
    found = onset(range(31), values)
    # sum of the squared differences: 10 x 0.01 over 30 pairs; sigma^2 is half their mean; 3 values at either end
    assert found.error == pytest.approx((0.1 / 30 / 2) ** 0.5 * (2 / 3) ** 0.5)
    assert found.change == 1.0
    # Smoothed values at steps 10, 11 are .06, .12 by hand: (0+0+0+.1+.2)/5 and (0+0+.1+.2+.3)/5.
    assert found.onset == pytest.approx(10 + (0.1 - 0.06) / 0.06)
    assert found.saturation == pytest.approx(20 - (0.1 - 0.06) / 0.06)


def test_a_fall_has_an_onset_too():
    rise = [0.0] * 10 + [i / 10 for i in range(11)] + [1.0] * 10
    up, down = onset(range(31), rise), onset(range(31), [1 - v for v in rise])
    assert down.change == -1
    assert (down.onset, down.saturation) == (pytest.approx(up.onset), pytest.approx(up.saturation))


def test_noise_has_no_onset():
    noise = np.random.default_rng(0).normal(0.5, 0.05, size=(400, 20))
    found = [onset(range(20), row) for row in noise]
    assert sum(one.onset is not None for one in found) <= 8  # 3 errors; with an estimated sigma about one in a hundred
    assert all((one.onset is None) == (one.saturation is None) for one in found)


def test_a_constant_has_none_and_few_values_are_not_looked_at():
    flat = onset(range(6), [0.5] * 6)
    assert (flat.change, flat.onset, flat.saturation) == (0, None, None)
    assert onset(range(4), [0, 1, 2, 3]) is None


@given(st.lists(st.floats(0, 1, width=32), min_size=5, max_size=40))
def test_saturation_never_comes_before_onset(values):
    found = onset(range(len(values)), values)
    if found.onset is not None:
        assert 0 <= found.onset <= found.saturation <= len(values) - 1
        assert abs(found.change) > found.error
