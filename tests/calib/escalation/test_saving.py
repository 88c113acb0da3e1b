"""Thresholds are chosen as the docstring says, claims are counted by hand, and intervals cover what they should."""

import numpy as np
import pytest
from hypothesis import given, settings

from routecal.calib.errors import NothingToSave, OutOfRange
from routecal.calib.escalation import (
    EVERYTHING,
    Outcomes,
    choose_threshold,
    curve,
    quality_band,
    saving_at,
)
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.metrics.bootstrap import mean_interval
from tests.calib.escalation.made import POLICY, SIX, P, cases, simulated


def test_the_walk_stops_at_the_first_loss_too_many() -> None:
    # quality: 3/6 at 0, 4/6 at .55, 5/6 at .8 and above 1, which is all-large
    assert choose_threshold(SIX, POLICY, P, margin=0.01, confidence=0.5) == pytest.approx(0.8)
    assert choose_threshold(SIX, POLICY, P, margin=1 / 6 + 1e-9, confidence=0.5) == pytest.approx(0.55)
    assert choose_threshold(SIX, POLICY, P, margin=0.5, confidence=0.5) == 0


def test_a_lucky_dip_below_a_failure_is_never_taken() -> None:
    # going down: the row at .9 loses a query, the row at .3 wins it back
    four = Outcomes.of(
        ["INCORRECT", "CORRECT", "CORRECT", "CORRECT"],
        ["CORRECT", "CORRECT", "INCORRECT", "CORRECT"],
        medium_cost=1,
        large_cost=9,
    )
    p = [0.9, 0.5, 0.3, 0.1]
    assert curve(four, [0] * 4, p).quality.tolist() == [0.75, 0.75, 0.5, 0.5, 0.75]
    assert choose_threshold(four, [0] * 4, p, confidence=0.5) == EVERYTHING


def test_a_better_medium_model_needs_no_escalation() -> None:
    found = Outcomes.of(["CORRECT"] * 3, ["INCORRECT"] * 3, medium_cost=1, large_cost=9)
    assert choose_threshold(found, [0, 0, 0], [0.1, 0.2, 0.3], confidence=0.5) == 0


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_chosen_threshold_keeps_the_margin_on_its_own_rows(
    case: tuple[Outcomes, np.ndarray, np.ndarray],
) -> None:
    outcomes, policy, p = case
    chosen = [choose_threshold(outcomes, policy, p, margin=0.05, confidence=c) for c in (0.5, 0.9, 0.99)]
    assert chosen == sorted(chosen)  # more confidence escalates more
    for threshold in chosen:
        found = curve(outcomes, policy, p, thresholds=[threshold])
        assert found.quality[0] >= outcomes.large_right.mean() - 0.05 - 1e-9


def test_confidence_keeps_the_promise_on_new_rows() -> None:
    """One-sided: at confidence .5 about half of the choices break the margin, at .95 few do."""
    truth, policy, p_truth = simulated(200_000, 999)
    loss = curve(truth, policy, p_truth, thresholds=np.linspace(0, 1.01, 400))
    broken = dict.fromkeys((0.5, 0.95), 0)
    for seed in range(60):
        outcomes, kept, p = simulated(800, seed)
        for confidence in broken:
            t = choose_threshold(outcomes, kept, p, margin=0.02, confidence=confidence)
            broken[confidence] += np.interp(t, loss.threshold, loss.quality) < truth.large_right.mean() - 0.02
    assert 12 <= broken[0.5] <= 48
    assert broken[0.95] <= 9


def test_a_claim_by_hand() -> None:
    found = saving_at(SIX, POLICY, P, threshold=0.55, margin=0.01)
    assert found.point == curve(SIX, POLICY, P, thresholds=[0.55]).point(0)
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
    found = saving_at(SIX, POLICY, P, threshold=EVERYTHING)
    nothing = Estimate(value=0.0, low=0.0, high=0.0)
    assert found.saving == found.quality_difference == nothing
    assert found.non_inferior


def test_what_is_undefined_is_none() -> None:
    equal = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "INCORRECT"], medium_cost=2, large_cost=2)
    found = saving_at(equal, [0, 0], [0.2, 0.8], threshold=0.5)
    assert found.above_random is None  # both cost the same
    assert found.random_saving is None  # large is no better
    assert found.saving.value == 0


def test_a_free_large_model_leaves_nothing_to_save() -> None:
    with pytest.raises(NothingToSave, match="costs 0 on all 1 queries"):
        saving_at(Outcomes.of(["CORRECT"], ["CORRECT"], medium_cost=0, large_cost=0), [0], [0.5], threshold=0.5)
    # free on one of two queries: nothing but the other is saved on
    two = Outcomes(np.ones(2), np.ones(2), np.array([0.0, 1.0]), np.array([0.0, 4.0]))
    assert saving_at(two, [0, 0], [0.9, 0.9], threshold=0.5).saving.value == 0.75


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("threshold", "n"), [(0.7, 300), (0.97, 60)])
def test_the_saving_is_that_of_the_mean_and_of_the_share_at_the_level_given(
    level: float, threshold: float, n: int
) -> None:
    outcomes, policy, p = simulated(n, 1, own_prices=True)
    large = p < threshold
    price = outcomes.large_cost.mean()
    kept = np.where(large, 0.0, outcomes.large_cost - outcomes.medium_cost)
    value, share = kept.mean() / price, 1 - large.mean()
    mean = mean_interval(value + (kept - value * outcomes.large_cost) / price, level=level)
    of_share = [float(end) * value / share for end in wilson(np.array(share * n), np.array(n), level=level)]
    found = saving_at(outcomes, policy, p, threshold=threshold, level=level).saving
    assert (found.low, found.high) == pytest.approx((min(mean[0], of_share[0]), max(mean[1], of_share[1])))


@pytest.mark.parametrize(
    "wrong", [{"margin": -0.1}, {"margin": float("nan")}, {"confidence": 0.4}, {"confidence": 1.0}]
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OutOfRange):
        choose_threshold(SIX, POLICY, P, **wrong)


def test_intervals_are_paired_and_repeatable() -> None:
    outcomes, policy, p = simulated(500, 1)
    found = saving_at(outcomes, policy, p, threshold=0.8)
    assert found == saving_at(outcomes, policy, p, threshold=0.8)
    low, high = quality_band(outcomes, policy, p, thresholds=[0.8])
    # escalated queries are the same answers on both sides and cancel: the paired interval is narrower
    assert found.quality_difference.high - found.quality_difference.low < (high - low)[0]


def test_the_paired_interval_covers_the_truth() -> None:
    """95% intervals of saving and quality difference at a fixed threshold, 150 simulated sets of 400 queries."""
    truth, policy, p = simulated(400_000, 999)
    want = saving_at(truth, policy, p, threshold=0.6)
    hits = np.zeros(2)
    for seed in range(150):
        found = saving_at(*simulated(400, seed), threshold=0.6)
        hits += [
            found.saving.low <= want.saving.value <= found.saving.high,
            found.quality_difference.low <= want.quality_difference.value <= found.quality_difference.high,
        ]
    assert (hits >= 132).all()  # 150 * .95 = 142.5, minus four standard deviations of 2.7
    assert (hits < 150).all()


def test_where_no_test_query_stays_with_medium_the_saving_can_still_be_above_nothing() -> None:
    outcomes, policy, _ = simulated(100, 5)
    found = saving_at(outcomes, policy, np.full(100, 0.5), threshold=0.9)
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
        found = saving_at(outcomes, np.zeros(n, int), p, threshold=0.97).saving
        hits += found.low <= 0.03 * 0.9 <= found.high
    assert hits >= 276  # .92 of 300; .95 is 285, less two and a half standard deviations


def test_the_band_holds_the_curve_and_is_wilsons() -> None:
    outcomes, policy, p = simulated(300, 2)
    at = [0.0, 0.5, 0.7, EVERYTHING]
    low, high = quality_band(outcomes, policy, p, thresholds=at, level=0.95)
    quality = curve(outcomes, policy, p, thresholds=at).quality
    assert (low < quality).all()
    assert (quality < high).all()
    normal = 1.96 * np.sqrt(quality * (1 - quality) / 300)
    assert high - low == pytest.approx(2 * normal, rel=0.2)
    narrow = quality_band(outcomes, policy, p, thresholds=at, level=0.5)
    assert (narrow[1] - narrow[0] < high - low).all()
