"""The corrected critical value makes the test exact, and is no larger than it must be."""

import numpy as np
import pytest
from scipy.stats import multinomial

from routecal.calib.escalation.paired import score_statistic
from routecal.calib.promise.exact_margin import critical_value, passes


def passing_by_enumeration(n: int, margin: float, q: float, z: float) -> float:
    """Probability of z or more, summed over all tables of gains and losses."""
    b, c = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    b, c = b[b + c <= n], c[b + c <= n]
    weight = multinomial.pmf(np.stack([b, c, n - b - c], axis=1), n, [q, q + margin, 1 - 2 * q - margin])
    return float(weight[score_statistic(b, c, n, difference=-margin) >= z].sum())


@pytest.mark.parametrize("n", [40, 75])
def test_no_share_of_gains_passes_a_loss_of_the_margin_more_often_than_delta(n: int) -> None:
    z = critical_value(n, 0.05, 0.05)
    sizes = [passing_by_enumeration(n, 0.05, q, z) for q in np.linspace(0.0, 0.475, 40)]
    assert max(sizes) <= 0.05 + 1e-6


def test_a_little_less_would_be_too_little() -> None:
    z = critical_value(75, 0.05, 0.05)
    assert z > 1.6449
    sizes = [passing_by_enumeration(75, 0.05, q, z - 2e-3) for q in np.linspace(0.0, 0.475, 200)]
    assert max(sizes) > 0.05


def test_it_lies_a_little_above_the_normal_quantile() -> None:
    assert critical_value(300, 0.01, 0.05) == pytest.approx(1.674, abs=0.002)
    assert critical_value(4000, 0.01, 0.05) == pytest.approx(1.650, abs=0.001)


def test_below_268_rows_no_loss_at_all_is_not_enough_for_one_point() -> None:
    none = np.array([0.0])
    assert not passes(none, none, 267, margin=0.01, delta=0.05)[0]
    assert passes(none, none, 300, margin=0.01, delta=0.05)[0]
