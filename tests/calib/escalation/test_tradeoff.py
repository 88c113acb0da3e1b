"""Every number of a curve by hand, and what must hold of any curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.calib.errors import InvalidProbability, LengthMismatch
from routecal.calib.escalation import (
    EVERYTHING,
    Outcomes,
    curve,
    oracle_line,
    random_mix,
    served_by_large,
    thresholds_of,
)
from tests.calib.escalation.made import POLICY, SIX, A, C, P, S, cases


def test_the_router_serves_until_confidence_is_below_the_threshold() -> None:
    assert served_by_large([S, C, A], [0.5, 0.9, 0.5], threshold=0.5).tolist() == [False, True, False]
    assert served_by_large([S, C, A], [0.49, 0.9, 0.51], threshold=0.5).tolist() == [True, True, False]


def test_thresholds_lie_between_the_confidences_that_can_be_escalated() -> None:
    # Complex rows (0.2 and 0.8) make no difference; 0.4 is there twice
    assert thresholds_of(POLICY, P) == pytest.approx([0.0, 0.55, 0.8, EVERYTHING])
    assert thresholds_of([C], [0.3]).tolist() == [0.0, EVERYTHING]
    just = np.nextafter(0.5, 1)  # nothing lies between the two: the upper one splits them
    assert thresholds_of([S, S], [0.5, just]).tolist() == [0.0, just, EVERYTHING]


def test_every_number_by_hand() -> None:
    found = curve(SIX, POLICY, P)
    # threshold            0            .55 (+1, 3)   .8 (+4)       above 1 (+0)
    # large serves         2, 5         1, 2, 3, 5    1-5           all
    # right                0, 2, 5      0, 1, 2, 5    all but 3     all but 3
    assert found.quality == pytest.approx([3 / 6, 4 / 6, 5 / 6, 5 / 6])
    assert found.cost == pytest.approx([54 / 6, 72 / 6, 81 / 6, 90 / 6])
    assert found.escalated == pytest.approx([0, 2 / 6, 3 / 6, 4 / 6])
    assert found.large == pytest.approx([2 / 6, 4 / 6, 5 / 6, 1])
    # medium wrong and large right: 1, 4 (and 5, which large serves anyhow); medium right where large serves: 2, then 0
    assert found.harmful_cheap == pytest.approx([2 / 6, 1 / 6, 0, 0])
    assert found.wasteful_large == pytest.approx([1 / 6, 1 / 6, 1 / 6, 2 / 6])
    point = found.point(1)
    assert (point.threshold, point.quality, point.escalated) == pytest.approx((0.55, 4 / 6, 2 / 6))


def test_random_mix_by_hand() -> None:
    found = random_mix(SIX, [0.0, 0.5, 1.0])
    assert found.quality == pytest.approx([2 / 6, 3.5 / 6, 5 / 6])
    assert found.cost == pytest.approx([1, 8, 15])
    assert found.harmful_cheap == pytest.approx([3 / 6, 1.5 / 6, 0])
    assert found.wasteful_large == pytest.approx([0, 1 / 6, 2 / 6])


def test_the_oracle_buys_the_cheapest_upgrades_first() -> None:
    # 1, 4 and 5 are worth upgrading, for 9, 9 and 39
    found = oracle_line(SIX)
    assert found.quality == pytest.approx([2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert found.cost == pytest.approx([6 / 6, 15 / 6, 24 / 6, 63 / 6])


def test_the_oracle_starts_at_the_cheaper_model_whichever_that_is() -> None:
    cheap_large = Outcomes.of(["CORRECT", "INCORRECT"], ["INCORRECT", "CORRECT"], medium_cost=5, large_cost=1)
    assert oracle_line(cheap_large).cost == pytest.approx([1.0, 3.0])
    assert oracle_line(cheap_large).quality == pytest.approx([0.5, 1.0])
    same = Outcomes.of(["CORRECT", "INCORRECT"], ["INCORRECT", "CORRECT"], medium_cost=1, large_cost=1)
    assert [ends.tolist() for ends in oracle_line(same)] == [[1.0], [1.0]]


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_ends_are_the_router_alone_and_all_large(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    outcomes, policy, p = case
    found = curve(outcomes, policy, p)
    alone = np.where(policy == C, outcomes.large_right, outcomes.medium_right)
    assert found.threshold[0] == 0
    assert found.quality[0] == pytest.approx(alone.mean())
    assert found.escalated[0] == 0
    assert found.quality[-1] == pytest.approx(outcomes.large_right.mean())
    assert found.cost[-1] == pytest.approx(outcomes.large_cost.mean())
    assert found.large[-1] == pytest.approx(1)
    assert found.harmful_cheap[-1] == pytest.approx(0)


@settings(max_examples=60, deadline=None)
@given(cases(), st.lists(st.floats(0, 1.1), min_size=1, max_size=8))
def test_one_pass_equals_counting_at_each_threshold(
    case: tuple[Outcomes, np.ndarray, np.ndarray], thresholds: list[float]
) -> None:
    outcomes, policy, p = case
    at = np.sort([*thresholds, *p[:3]])
    found = curve(outcomes, policy, p, thresholds=at)
    for i, t in enumerate(at):
        large = (policy == C) | (p < t)
        right = np.where(large, outcomes.large_right, outcomes.medium_right)
        cost = np.where(large, outcomes.large_cost, outcomes.medium_cost)
        harm = ~large & (outcomes.medium_right == 0) & (outcomes.large_right == 1)
        waste = large & (outcomes.medium_right == 1)
        want = [right.mean(), cost.mean(), (large & (policy != C)).mean(), large.mean(), harm.mean(), waste.mean()]
        point = found.point(i)
        numbers = [point.quality, point.cost, point.escalated, point.large, point.harmful_cheap, point.wasteful_large]
        assert numbers == pytest.approx(want, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_escalation_only_grows(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    found = curve(*case)
    assert (np.diff(found.escalated) >= 0).all()
    assert (np.diff(found.large) >= 0).all()
    assert (np.diff(found.wasteful_large) >= -1e-12).all()
    assert (np.diff(found.harmful_cheap) <= 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(cases())
def test_no_assignment_beats_the_oracle(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    outcomes, policy, p = case
    best = oracle_line(outcomes)
    assert best.quality[-1] == pytest.approx(np.maximum(outcomes.medium_right, outcomes.large_right).mean())
    for line in (curve(outcomes, policy, p).line, random_mix(outcomes, np.linspace(0, 1, 7)).line):
        assert (line.cost >= best.cost[0] - 1e-9).all()
        assert (line.quality <= np.interp(line.cost + 1e-9, best.cost, best.quality) + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(cases())
def test_random_mix_is_a_straight_line(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    found = random_mix(case[0], np.linspace(0, 1, 11))
    for values in (found.quality, found.cost, found.harmful_cheap, found.wasteful_large):
        assert np.diff(values, n=2) == pytest.approx(0, abs=1e-9)


def test_decisions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LengthMismatch):
        curve(SIX, POLICY[:2], P[:2])
    with pytest.raises(LengthMismatch):
        curve(SIX, POLICY[:2], P)
    with pytest.raises(InvalidProbability):
        curve(SIX, POLICY, P * 2)
