"""How far steps go for their signal."""

import numpy as np
import pytest

from spurious.analysis.step_sizes import step_sizes


def test_by_hand():
    signal, norm = np.array([1.0, 0.5, 0.1, 0.0, 0.0]), np.array([4.0, 3.0, 2.0, 1.0, 0.5])
    found = dict(step_sizes(signal, norm))
    assert found["signal"] == pytest.approx(0.32)
    assert found["norm"] == pytest.approx(2.1)
    assert (found["norm without signal"], found["norm of faint steps"], found["norm of other steps"]) == (0.75, 2, 3.5)
    assert found["spearman"] == pytest.approx(9.5 / np.sqrt(10 * 9.5))  # ranks 5 4 3 1.5 1.5 and 5 4 3 2 1


def test_a_step_that_does_not_look_at_its_signal():
    found = dict(step_sizes(np.full(6, 1.0), np.arange(6.0)))
    assert (found["spearman"], found["norm without signal"], found["norm of faint steps"]) == (None, None, None)
