"""Correlations of two series, against numbers worked out by hand and against other code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.api import OLS, add_constant

from spurious.analysis.correlation import LAGS, correlations, lagged, partial, pearson, spearman


def array(*values):
    return np.array(values, dtype=float)


def test_by_hand():
    x, y = array(1, 2, 3, 4), array(1, 3, 2, 4)
    assert pearson(x, y) == pytest.approx(0.8)  # sums of products of deviations: 4 / sqrt(5 x 5)
    assert spearman(x, array(1, 30, 2, 400)) == pytest.approx(0.8)
    assert pearson(x, -x) == pytest.approx(-1)


def test_undefined_on_a_constant_or_a_few_steps():
    moving, flat = array(1, 2, 3, 5, 4), np.full(5, 0.3)
    found = correlations(flat, moving, [])
    assert set(found.values()) == {None}
    assert correlations(moving, flat, [moving])["partial"] is None
    assert pearson(array(1, 2, 3), array(1, 2, 4)) is None
    assert lagged(moving, moving, 3) is None  # two pairs
    assert lagged(moving, moving, 9) is None


def test_a_lag_above_zero_means_that_code_comes_first():
    code = np.random.default_rng(0).normal(size=30)
    accuracy = np.concatenate([[0.0, 0.0], code[:-2]])
    assert lagged(code, accuracy, 2) == pytest.approx(1)
    found = correlations(code, accuracy, [])
    assert max(LAGS, key=lambda lag: found[f"lag {lag}"]) == 2
    assert found["lag 0"] == found["pearson"]
    assert lagged(accuracy, code, -2) == pytest.approx(1)


def test_a_common_cause_is_partialled_out():
    generator = np.random.default_rng(1)
    length = generator.normal(size=400)
    code, accuracy = length + 0.5 * generator.normal(size=400), length + 0.5 * generator.normal(size=400)
    found = correlations(code, accuracy, [length, np.ones(400)])
    assert found["pearson"] > 0.7
    assert abs(found["partial"]) < 0.15
    assert partial(length, accuracy, [2 * length + 1]) is None  # nothing is left of it


def test_trends_correlate_and_their_differences_do_not():
    generator = np.random.default_rng(2)
    trend = np.linspace(0, 1, 200)
    found = correlations(trend + 0.05 * generator.normal(size=200), trend + 0.05 * generator.normal(size=200), [])
    assert found["pearson"] > 0.95
    assert abs(found["differences"]) < 0.2


series = st.lists(st.tuples(*[st.integers(0, 8)] * 4), min_size=8, max_size=30).map(lambda v: np.array(v, dtype=float))


@given(series)
def test_agrees_with_scipy_and_statsmodels(drawn):
    x, y, a, b = drawn.T
    if np.ptp(x) and np.ptp(y):
        assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    found = partial(x, y, [a, b])
    design = add_constant(np.column_stack([a, b]), has_constant="add")
    if found is not None and np.linalg.matrix_rank(design) == 3:
        rests = [OLS(s, design).fit().resid for s in (x, y)]
        assert found == pytest.approx(np.corrcoef(*rests)[0, 1], abs=1e-6)
