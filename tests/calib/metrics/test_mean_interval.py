"""The interval of a skewed mean, against Student's and against the truth."""

import numpy as np
import pytest
from scipy.stats import t

from routecal.calib.metrics.bootstrap import mean_interval


def test_without_skewness_it_is_students():
    x = np.r_[np.arange(50.0), -np.arange(50.0)]
    half = t.ppf(0.975, 99) * x.std(ddof=1) / 10
    assert mean_interval(x) == pytest.approx((-half, half))
    assert mean_interval(x, level=0.5)[1] == pytest.approx(t.ppf(0.75, 99) * x.std(ddof=1) / 10)


def test_it_reaches_further_to_the_side_of_the_tail_and_mirrors():
    x = np.random.default_rng(0).exponential(1.0, 100)
    low, high = mean_interval(x)
    assert high - x.mean() > 1.15 * (x.mean() - low) > 0
    assert mean_interval(-x) == pytest.approx((-high, -low))


def test_values_that_never_vary_have_no_width():
    assert mean_interval([0.1] * 7) == (pytest.approx(0.1), pytest.approx(0.1))
    assert mean_interval([0.3]) == (0.3, 0.3)


def test_it_covers_the_mean_of_a_skewed_loss_where_students_does_not():
    x = np.random.default_rng(0).exponential(1.0, (2000, 60)) ** 1.5
    want = 1.3293  # Gamma(2.5)
    ends = np.array([mean_interval(row) for row in x])
    hits = ((ends[:, 0] <= want) & (want <= ends[:, 1])).mean()
    half = t.ppf(0.975, 59) * x.std(axis=1, ddof=1) / 60**0.5
    students = (np.abs(x.mean(axis=1) - want) <= half).mean()
    assert hits > 0.93
    assert students < 0.92
