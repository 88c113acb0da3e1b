import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.calib.metrics.binned import ece
from routecal.calib.metrics.murphy import brier_parts, brier_reliability, brier_resolution
from routecal.calib.metrics.proper import brier

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


@given(ROWS, st.integers(1, 20))
def test_parts_add_up_to_the_score_whatever_lies_within_bins(rows, n_bins):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    parts = brier_parts(p, y, n_bins=n_bins)
    total = parts.reliability - parts.resolution + parts.uncertainty
    assert total + parts.variance_within - parts.covariance_within == pytest.approx(parts.brier, abs=1e-12)
    assert parts.brier == pytest.approx(brier(p, y), abs=1e-15)
    assert parts.reliability == pytest.approx(ece(p, y, n_bins=n_bins, norm=2) ** 2, abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0
    assert parts.variance_within >= -1e-12


def test_by_hand():
    # bins of 2: {.1, .3 | 0, 1} mean .2 and .5; {.8, 1 | 1, 1} mean .9 and 1; base rate 3/4
    parts = brier_parts([0.1, 0.3, 0.8, 1.0], [0, 1, 1, 1], n_bins=2)
    assert parts.reliability == pytest.approx(0.5 * 0.3**2 + 0.5 * 0.1**2)
    assert parts.resolution == pytest.approx(0.5 * 0.25**2 + 0.5 * 0.25**2)
    assert parts.uncertainty == pytest.approx(3 / 16)
    assert parts.variance_within == pytest.approx(0.1**2)
    assert parts.covariance_within == pytest.approx(2 * (0.5 * 0.1 + 0.5 * 0.1) / 4)  # .5 .1 for each of the first two
    assert parts.brier == pytest.approx((0.01 + 0.49 + 0.04) / 4)


def test_the_two_metrics_are_those_parts():
    p, y = [0.1, 0.3, 0.8, 1.0], [0, 1, 1, 1]
    assert brier_reliability(p, y) == brier_parts(p, y).reliability
    assert brier_resolution(p, y) == brier_parts(p, y).resolution


def test_a_constant_resolves_nothing():
    assert brier_parts([0.7] * 4, [0, 1, 1, 0]).resolution == 0
