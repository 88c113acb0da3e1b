"""The corrected critical value makes the test exact, and is no larger than it must be."""

import numpy as np
import pytest
from scipy.special import gammaln, xlogy

from routecal.calib.escalation.paired import score_statistic
from routecal.calib.promise.exact_margin import _most_losses, _passing, critical_value, passes


def passing_by_enumeration(n: int, margin: float, q: np.ndarray, z: float) -> np.ndarray:
    """(s,) probability of z or more, summed over all tables of gains and losses, at every share of gains (s,)."""
    b, c = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    b, c = b[b + c <= n], c[b + c <= n]
    passing = score_statistic(b, c, n, difference=-margin) >= z
    b, c, tied = b[passing], c[passing], n - b[passing] - c[passing]
    ways = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(tied + 1)
    q = q[:, None]
    return np.asarray(
        np.exp(ways + xlogy(b, q) + xlogy(c, q + margin) + xlogy(tied, np.maximum(1 - 2 * q - margin, 0.0))).sum(axis=1)
    )


@pytest.mark.parametrize("delta", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("margin", [0.02, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 40])
def test_no_share_of_gains_passes_a_loss_of_the_margin_more_often_than_delta(
    n: int, margin: float, delta: float
) -> None:
    z, highest = critical_value(n, margin, delta), (1 - margin) / 2
    q = np.concatenate([np.linspace(0.0, highest, 400), np.geomspace(1e-6, highest, 200)])
    assert passing_by_enumeration(n, margin, np.minimum(q, highest), z).max() <= delta + 1e-6


@pytest.mark.parametrize(("n", "margin"), [(75, 0.05), (12, 0.3), (40, 0.2)])
def test_a_little_less_would_be_too_little(n: int, margin: float) -> None:
    z = critical_value(n, margin, 0.05)
    assert z > 1.6449
    assert passing_by_enumeration(n, margin, np.linspace(0.0, (1 - margin) / 2, 2000), z - 2e-3).max() > 0.05


@pytest.mark.parametrize("end", ["hardly any query differs", "nearly every query differs"])
def test_the_largest_probability_is_looked_for_at_both_ends(end: str) -> None:
    n, margin, highest = 1000, 0.05, 0.475
    z, near = critical_value(n, margin, 0.05), np.geomspace(1e-6, highest, 3000)
    q = near if end.startswith("hardly") else highest - near
    assert _passing(q, n, margin, _most_losses(n, margin, z)).max() <= 0.05 + 1e-6


def test_it_lies_a_little_above_the_normal_quantile() -> None:
    assert critical_value(300, 0.01, 0.05) == pytest.approx(1.674, abs=0.002)
    assert critical_value(4000, 0.01, 0.05) == pytest.approx(1.650, abs=0.001)


def test_below_268_rows_no_loss_at_all_is_not_enough_for_one_point() -> None:
    none = np.array([0.0])
    assert not passes(none, none, 267, margin=0.01, delta=0.05)[0]
    assert passes(none, none, 300, margin=0.01, delta=0.05)[0]
