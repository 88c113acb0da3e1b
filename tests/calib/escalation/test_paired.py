"""Tango's score interval against R, by hand at its edges, and in its coverage where a bootstrap has none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.calib.escalation.paired import paired_difference_of_shares, score_statistic


@pytest.mark.parametrize(
    ("gains", "losses", "n", "level", "low", "high"),
    [
        (28, 25, 618, 0.90, -0.0148, 0.0247),  # PropCIs: scoreci.mp(25, 28, 618, conf.level = 0.9)
        (20, 60, 1000, 0.95, -0.0584, -0.0231),  # scoreci.mp(60, 20, 1000)
        (60, 20, 1000, 0.95, 0.0231, 0.0584),
    ],
)
def test_agrees_with_propcis(gains: int, losses: int, n: int, level: float, low: float, high: float) -> None:
    found = paired_difference_of_shares(gains, losses, n, level=level)
    assert found.value == pytest.approx((gains - losses) / n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_is_mcnemar_at_zero() -> None:
    assert score_statistic([9, 4], [1, 4], 50, difference=0.0) == pytest.approx([8 / np.sqrt(10), 0])


@pytest.mark.parametrize("n", [1, 30, 381])
def test_no_difference_seen_is_not_no_difference(n: int) -> None:
    z2 = 1.959963984540054**2
    found = paired_difference_of_shares(0, 0, n)
    assert (found.low, found.value, found.high) == pytest.approx((-z2 / (n + z2), 0, z2 / (n + z2)))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 400), st.data())
def test_ends_solve_the_test_and_mirror(n: int, data: st.DataObject) -> None:
    gains = data.draw(st.integers(0, n))
    losses = data.draw(st.integers(0, n - gains))
    found, mirrored = paired_difference_of_shares(gains, losses, n), paired_difference_of_shares(losses, gains, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    for end, target in ((found.low, 1.95996), (found.high, -1.95996)):
        if abs(end) < 1 - 1e-9:
            assert score_statistic(gains, losses, n, difference=end) == pytest.approx(target, abs=1e-3)


def test_covers_rare_losses() -> None:
    """One query in 150 is lost, none gained, n = 200: a quarter of the samples see no loss at all."""
    drawn = np.random.default_rng(0).binomial(200, 1 / 150, size=2000)
    held = [low <= -1 / 150 <= high for low, high in (ends(int(k)) for k in drawn)]
    assert np.mean(held) >= 0.94
    assert (drawn == 0).mean() > 0.2  # where a bootstrap's interval is [0, 0] and misses


def ends(losses: int) -> tuple[float, float]:
    found = paired_difference_of_shares(0, losses, 200)
    return found.low, found.high
