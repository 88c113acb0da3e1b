"""Thresholds are chosen as the docstring says, claims are counted by hand, and intervals cover what they should."""

import numpy as np
import pytest

from routecal.calib.decision_errors import NothingToSave
from routecal.calib.escalation import Outcomes, curve, quality_band, saving_at
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.metrics.bootstrap import mean_interval
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT
from tests.calib.escalation.made import NEED, POLICY, SIX, C, simulated


def test_a_claim_by_hand() -> None:
    found = saving_at(SIX, NEED, threshold=-0.55, margin=0.01, to_large=POLICY == C)
    assert found.point == curve(SIX, NEED, thresholds=[-0.55], to_large=POLICY == C).point(0)
    assert found.saving.value == pytest.approx(1 - 72 / 90)
    assert found.quality_difference.value == pytest.approx(-1 / 6)
    # random mix costing 12: share 11/14, quality 2/6 + 11/14 * 3/6
    assert found.above_random is not None
    assert found.above_random.value == pytest.approx(4 / 6 - (2 / 6 + 11 / 14 * 3 / 6))
    # random mix of quality 4/6: share 2/3, cost 1 + 2/3 * 14
    assert found.random_saving == pytest.approx(1 - (1 + 28 / 3) / 15)
    assert not found.non_inferior
    assert found.saving.low <= found.saving.value <= found.saving.high
    assert (found.n, found.level, found.margin) == (6, 0.95, 0.01)


def test_all_large_saves_nothing_and_loses_nothing() -> None:
    found = saving_at(SIX, NEED, threshold=NOTHING_KEPT)
    nothing = Estimate(value=0.0, low=0.0, high=0.0)
    assert found.saving == found.quality_difference == nothing
    assert found.non_inferior


def test_what_is_undefined_is_none() -> None:
    equal = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "INCORRECT"], medium_cost=2, large_cost=2)
    found = saving_at(equal, [-0.2, -0.8], threshold=-0.5)
    assert found.above_random is None  # both cost the same
    assert found.random_saving is None  # large is no better
    assert found.saving.value == 0


def test_a_free_large_model_leaves_nothing_to_save() -> None:
    with pytest.raises(NothingToSave, match="costs 0 on all 1 queries"):
        saving_at(Outcomes.of(["CORRECT"], ["CORRECT"], medium_cost=0, large_cost=0), [-0.5], threshold=-0.5)
    # free on one of two queries: nothing but the other is saved on
    two = Outcomes(np.ones(2), np.ones(2), np.array([0.0, 1.0]), np.array([0.0, 4.0]))
    assert saving_at(two, [-0.9, -0.9], threshold=-0.5).saving.value == 0.75


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("threshold", "n"), [(0.7, 300), (0.97, 60)])
def test_the_saving_is_that_of_the_mean_and_of_the_share_at_the_level_given(
    level: float, threshold: float, n: int
) -> None:
    outcomes, need = simulated(n, 1, own_prices=True)
    large = -need < threshold
    price = outcomes.large_cost.mean()
    kept = np.where(large, 0.0, outcomes.large_cost - outcomes.medium_cost)
    value, share = kept.mean() / price, 1 - large.mean()
    mean = mean_interval(value + (kept - value * outcomes.large_cost) / price, level=level)
    of_share = [float(end) * value / share for end in wilson(np.array(share * n), np.array(n), level=level)]
    found = saving_at(outcomes, need, threshold=-threshold, level=level).saving
    assert (found.low, found.high) == pytest.approx((min(mean[0], of_share[0]), max(mean[1], of_share[1])))


def test_intervals_are_paired_and_repeatable() -> None:
    outcomes, need = simulated(500, 1)
    found = saving_at(outcomes, need, threshold=-0.8)
    assert found == saving_at(outcomes, need, threshold=-0.8)
    low, high = quality_band(outcomes, need, thresholds=[-0.8])
    # escalated queries are the same answers on both sides and cancel: the paired interval is narrower
    assert found.quality_difference.high - found.quality_difference.low < (high - low)[0]


def test_the_paired_interval_covers_the_truth() -> None:
    """95% intervals of saving and quality difference at a fixed threshold, 150 simulated sets of 400 queries."""
    want = saving_at(*simulated(400_000, 999), threshold=-0.6)
    hits = np.zeros(2)
    for seed in range(150):
        found = saving_at(*simulated(400, seed), threshold=-0.6)
        hits += [
            found.saving.low <= want.saving.value <= found.saving.high,
            found.quality_difference.low <= want.quality_difference.value <= found.quality_difference.high,
        ]
    assert (hits >= 132).all()  # 150 * .95 = 142.5, minus four standard deviations of 2.7
    assert (hits < 150).all()


def test_where_no_test_query_stays_with_medium_the_saving_can_still_be_above_nothing() -> None:
    outcomes, _ = simulated(100, 5)
    found = saving_at(outcomes, np.full(100, -0.5), threshold=-0.9)
    assert (found.saving.low, found.saving.value) == (0, 0)
    # Wilson's upper end of 0 in 100 is z² / (100 + z²) = .037 of the queries, each of which saves .9
    assert found.saving.high == pytest.approx(0.9 * 3.8415 / 103.8415, rel=1e-3)
    assert found.above_random is None  # all-large is a random mix


@pytest.mark.parametrize("n", [100, 300])
def test_the_saving_covers_where_few_queries_stay_with_medium(n: int) -> None:
    """3% of equal prices: a percentile bootstrap of the saving misses wherever no query was kept."""
    hits, rng = 0, np.random.default_rng(0)
    for _ in range(300):
        p = rng.random(n)
        outcomes = Outcomes(np.ones(n), np.ones(n), np.ones(n), np.full(n, 10.0))
        found = saving_at(outcomes, -p, threshold=-0.97).saving
        hits += found.low <= 0.03 * 0.9 <= found.high
    assert hits >= 276  # .92 of 300; .95 is 285, less two and a half standard deviations


def test_the_band_holds_the_curve_and_is_wilsons() -> None:
    outcomes, need = simulated(300, 2)
    at = [NOTHING_KEPT, -0.7, -0.5, ALL_KEPT]
    low, high = quality_band(outcomes, need, thresholds=at, level=0.95)
    quality = curve(outcomes, need, thresholds=at).quality
    assert (low < quality).all()
    assert (quality < high).all()
    normal = 1.96 * np.sqrt(quality * (1 - quality) / 300)
    assert high - low == pytest.approx(2 * normal, rel=0.2)
    narrow = quality_band(outcomes, need, thresholds=at, level=0.5)
    assert (narrow[1] - narrow[0] < high - low).all()
