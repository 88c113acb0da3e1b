"""The corrected critical value makes the test exact, and is no larger than it must be."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import gammaln, xlogy

from routecal.calib.escalation.paired import score_statistic
from routecal.calib.promise import exact_margin
from routecal.calib.promise.exact_margin import _most_losses, _passing, _size, critical_value, passes


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


@pytest.mark.parametrize("z", [0.0, 1.3])
@pytest.mark.parametrize(("n", "margin"), [(1, 0.3), (7, 0.6), (60, 0.05)])
def test_the_probability_of_passing_is_the_sum_over_all_tables(n: int, margin: float, z: float) -> None:
    q = np.linspace(0.0, (1 - margin) / 2, 9)
    found = _passing(q, n, margin, _most_losses(n, margin, z))
    assert found == pytest.approx(passing_by_enumeration(n, margin, q, z), abs=2e-9)


def test_a_table_whose_statistic_is_z_itself_passes_and_one_loss_more_does_not() -> None:
    n, margin = 30, 0.1
    b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    statistic = np.where(b + c <= n, score_statistic(b, c, n, difference=-margin), -np.inf)
    for z in (0.0, statistic[4, 3], statistic[0, 0], statistic[3, 0]):  # by the last, -1 below three gains
        most = np.where(statistic >= z, c, -1).max(axis=1)
        assert _most_losses(n, margin, z).tolist() == most.tolist()


@pytest.mark.parametrize(
    ("n", "margin", "z", "q", "between"),
    [
        (30, 0.1, 0.8, [0.0, 0.05, 0.09, 0.2], (0.0, 0.09)),  # largest at .039, before the best share of the grid
        (30, 0.1, 0.8, [0.0, 0.1, 0.16, 0.18], (0.1, 0.18)),  # at .168; that at .039 is not beside the best share
        (20, 0.05, 0.8, [0.06, 0.09, 0.15, 0.36], (0.06, 0.15)),  # at .094; that at .299 is not
        (30, 0.1, 0.8, [0.3, 0.42, 0.45], (0.42, 0.45)),  # still rising where the shares end
    ],
)
def test_the_largest_probability_is_looked_for_between_the_neighbours_of_the_best_share(
    n: int, margin: float, z: float, q: list[float], between: tuple[float, float]
) -> None:
    on_grid = passing_by_enumeration(n, margin, np.array(q), z).max()
    largest = passing_by_enumeration(n, margin, np.linspace(*between, 400), z).max()
    for delta in (0.5, float(_passing(np.array(q), n, margin, _most_losses(n, margin, z)).max())):
        assert _size(n, margin, z, delta, np.array(q))[0] == pytest.approx(largest, abs=2e-6)
    # what is too large on the grid is too large
    assert _size(n, margin, z, 0.05, np.array(q))[0] == pytest.approx(on_grid, abs=2e-9)


def test_a_higher_value_is_tried_at_shares_that_come_near_delta_and_those_beside_them() -> None:
    n, margin, z, delta, q = 60, 0.05, 1.3, 0.11, np.linspace(0.0, 0.475, 60)
    near = passing_by_enumeration(n, margin, q, z) > delta - 0.01
    beside = [bool(near[max(i - 1, 0) : i + 2].any()) for i in range(len(q))]
    assert 0 < near.sum() < sum(beside) < len(q)
    assert _size(n, margin, z, delta, q)[1].tolist() == q[beside].tolist()


def test_where_no_table_passes_the_normal_quantile_is_enough() -> None:
    assert critical_value(2, 0.02, 0.05) == pytest.approx(1.6449, abs=1e-4)
    assert _size(2, 0.02, 1.6449, 0.05, np.array([0.0, 0.1, 0.49]))[0] == 0.0


def test_a_value_that_no_table_reaches_is_found_where_the_best_table_passes_too_often() -> None:
    # 3 gains of 3 have the statistic 3 and, at a share of .25 gains, .75 losses, a probability of .25³ = .016
    assert critical_value(3, 0.5, 0.01) == pytest.approx(3.0, abs=3e-4)
    assert not passes(3, 0, 3, margin=0.5, delta=0.01)


def test_a_largest_probability_of_delta_itself_is_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(enough: float) -> float:
        monkeypatch.setattr(exact_margin, "_size", lambda n, margin, z, delta, q: (delta if z >= enough else 1.0, q))
        return float(critical_value.__wrapped__(10, 0.1, 0.05))

    assert found(0.0) == NormalDist().inv_cdf(0.95)
    assert 1.9 <= found(1.9) <= 1.9 + 3e-4
