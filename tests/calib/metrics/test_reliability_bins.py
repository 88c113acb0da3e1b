import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from routecal.calib.metrics.bin_counts import reliability_bins, wilson
from routecal.calib.metrics.binned import ece

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


@given(ROWS)
def test_bins_recombine_to_ece(rows):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    bins = reliability_bins(p, y)
    assert bins.n.sum() == len(p)
    assert (bins.n * abs(bins.accuracy - bins.mean_p)).sum() / len(p) == pytest.approx(ece(p, y), abs=1e-12)
    assert ((bins.low <= bins.accuracy + 1e-12) & (bins.accuracy <= bins.high + 1e-12)).all()


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 7), (40, 40)])
def test_wilson_agrees_with_scipy(k, n):
    low, high = wilson(np.array([float(k)]), np.array([float(n)]), level=0.9)
    expected = binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))
