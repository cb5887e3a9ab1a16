import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from spurious.analysis.spending import nominal_levels, spent


def test_boundaries_are_the_published_ones():
    # Lan-DeMets O'Brien-Fleming-type spending, five equal looks, two-sided .05, as R's gsDesign prints.
    levels = nominal_levels((1, 2, 3, 4, 5), 0.05)
    assert [-ndtri(level / 2) for level in levels] == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=5e-4)


def test_one_look_costs_nothing():
    assert nominal_levels((10,), 0.05) == (0.05,)
    assert spent(1.0, 0.05) == pytest.approx(0.05)
    assert spent(0.25, 0.05) == pytest.approx(4 * ndtr(2 * ndtri(0.0125)))


def test_two_looks_spend_alpha_by_direct_integration():
    first, second = (-ndtri(level / 2) for level in nominal_levels((3, 10), 0.05))
    step = np.sqrt(0.7)

    def stays(z):
        x = z * np.sqrt(0.3)
        return np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (ndtr((second - x) / step) - ndtr((-second - x) / step))

    assert 1 - quad(stays, -first, first, epsabs=1e-12)[0] == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("looks", [(4, 10), (4, 7, 10), (3, 4, 5, 20)])
def test_the_chance_of_any_crossing_is_alpha(looks):
    times = np.array(looks) / looks[-1]
    bounds = np.array([-ndtri(level / 2) for level in nominal_levels(looks, 0.05)])
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    rng = np.random.Generator(np.random.Philox(key=1))
    inside = multivariate_normal(np.zeros(len(looks)), covariance, seed=rng).cdf(bounds, lower_limit=-bounds)
    assert 1 - inside == pytest.approx(0.05, abs=2e-4)


def test_levels_grow_with_alpha_as_closed_testing_needs():
    for smaller, larger in zip(nominal_levels((3, 6, 10), 0.05 / 3), nominal_levels((3, 6, 10), 0.05), strict=True):
        assert smaller < larger


@pytest.mark.parametrize("looks", [(), (0, 3), (5, 5), (7, 4)])
def test_looks_increase(looks):
    with pytest.raises(ValueError, match="increasing"):
        nominal_levels(looks, 0.05)
