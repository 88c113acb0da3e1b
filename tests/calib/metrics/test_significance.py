import numpy as np
import pytest
from scipy.stats import kstest, norm

from routecal.calib.metrics.significance import (
    brownian_maximum_sf,
    brownian_range_sf,
    ks,
    ks_test,
    kuiper,
    kuiper_test,
    spiegelhalter_test,
)

SURVIVAL = {"maximum": brownian_maximum_sf, "range": brownian_range_sf}


# The mean of a positive variable is the integral of its survival function.
@pytest.mark.parametrize(("name", "mean"), [("maximum", np.sqrt(np.pi / 2)), ("range", 2 * np.sqrt(2 / np.pi))])
def test_means_are_those_of_brownian_motion(name, mean):
    x = np.linspace(0, 12, 12_001)
    values = np.array([SURVIVAL[name](v) for v in x])
    assert np.trapezoid(values, x) == pytest.approx(mean, abs=1e-6)
    assert ((values >= 0) & (values <= 1)).all()
    assert (np.diff(values) <= 1e-14).all()


@pytest.mark.parametrize("name", SURVIVAL)
def test_both_series_give_the_same_function(name):
    below, above = (SURVIVAL[name](x) for x in (1.0, np.nextafter(1.0, 2)))
    assert below == pytest.approx(above, abs=1e-12)


def test_tails_keep_their_digits():
    assert brownian_maximum_sf(9.0) == pytest.approx(4 * norm.sf(9.0), rel=1e-12)
    assert brownian_range_sf(9.0) == pytest.approx(8 * norm.sf(9.0), rel=1e-12)


def test_by_hand():
    # residuals -.2, +.6, -.7, +.1 in the order of p: the path goes 0, -.2, .4, -.3, -.2 quarters
    p, y = [0.7, 0.2, 0.9, 0.4], [0, 0, 1, 1]
    assert kuiper(p, y) == pytest.approx(0.7 / 4)
    assert ks(p, y) == pytest.approx(0.4 / 4)
    spread = np.sqrt(0.21 + 0.16 + 0.09 + 0.24)
    assert kuiper_test(p, y).statistic == pytest.approx(0.7 / spread)
    assert ks_test(p, y).statistic == pytest.approx(0.4 / spread)


def test_ties_are_read_at_their_end():
    assert kuiper([0.5, 0.5], [1, 0]) == kuiper([0.5, 0.5], [0, 1]) == 0


TESTS = {"kuiper": kuiper_test, "ks": ks_test, "spiegelhalter": spiegelhalter_test}


@pytest.mark.parametrize("name", TESTS)
def test_p_values_of_calibrated_confidence_are_uniform(name):
    rng = np.random.default_rng(4)
    p = rng.beta(6, 2, 2000)
    found = [TESTS[name](p, rng.random(2000) < p).p_value for _ in range(400)]
    assert kstest(found, "uniform").pvalue > 0.01
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08


@pytest.mark.parametrize("name", ["kuiper", "ks"])
@pytest.mark.parametrize("bend", [lambda p: p**2, lambda p: p**0.5])
def test_and_of_bent_confidence_are_small(name, bend):
    rng = np.random.default_rng(5)
    p = rng.beta(3, 2, 2000)
    assert TESTS[name](p, rng.random(2000) < bend(p)).p_value < 1e-6


def test_spiegelhalter_tells_too_extreme_from_too_timid():
    rng = np.random.default_rng(6)
    q = rng.random(4000)
    y = rng.random(4000) < q
    z = np.log(q / (1 - q))
    extreme, timid = (spiegelhalter_test(1 / (1 + np.exp(-z * t)), y).statistic for t in (2, 0.5))
    assert extreme > 5
    assert timid < -5


def test_certainty():
    assert kuiper_test([0.0, 1.0], [0, 1]) == ks_test([0.0, 1.0], [0, 1]) == (0.0, 1.0)
    assert kuiper_test([0.0, 1.0], [1, 1]) == ks_test([0.0, 1.0], [1, 1]) == (np.inf, 0.0)
    assert spiegelhalter_test([0.0, 1.0], [1, 1]) == (np.inf, 0.0)
    assert spiegelhalter_test([0.0, 1.0], [0, 1]) is None
    assert spiegelhalter_test([0.5, 0.5], [0, 1]) is None
