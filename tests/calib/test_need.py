"""Need by either rule, and the thresholds that tell one need from another."""

import json

import numpy as np
import pytest
from pydantic import BaseModel

from routecal.calib.decision_errors import InvalidCost
from routecal.calib.errors import InvalidProbability, LengthMismatch, NonFinite
from routecal.calib.need import (
    ALL_KEPT,
    NOTHING_KEPT,
    Threshold,
    checked_need,
    confidence_threshold,
    kept,
    need_by_confidence,
    need_by_gain,
    thresholds_of,
)
from tests.calib.escalation.made import NEED, POLICY, A, C, P, S


def test_the_router_serves_until_confidence_is_below_the_threshold() -> None:
    assert kept(need_by_confidence([S, C, A], [0.5, 0.9, 0.5]), -0.5).tolist() == [True, False, True]
    assert kept(need_by_confidence([S, C, A], [0.49, 0.9, 0.51]), -0.5).tolist() == [False, False, True]
    assert kept(need_by_confidence([S, C, A], [0.0, 1.0, 0.3]), ALL_KEPT).tolist() == [True, False, True]
    assert not kept(need_by_confidence([S, A], [1.0, 1.0]), NOTHING_KEPT).any()


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.41, 1.0, np.nextafter(1, 2)])
def test_a_threshold_of_confidence_is_minus_that_of_need(threshold: float) -> None:
    doubted = (threshold > P) | (POLICY == C)
    assert (~kept(NEED, -threshold)).tolist() == doubted.tolist()
    assert confidence_threshold(-threshold) == threshold


def test_the_ends_of_confidence_are_no_doubt_and_nothing_but() -> None:
    assert confidence_threshold(NOTHING_KEPT) == confidence_threshold(-7) == 1 + 2**-52
    assert confidence_threshold(ALL_KEPT) == confidence_threshold(0.3) == 0


def test_thresholds_lie_between_the_needs_that_may_be_kept() -> None:
    # Complex rows are never kept; -0.4 is there twice
    assert thresholds_of(NEED) == pytest.approx([NOTHING_KEPT, -0.8, -0.55, ALL_KEPT])
    assert thresholds_of([np.inf]).tolist() == [NOTHING_KEPT, ALL_KEPT]
    just = np.nextafter(-0.5, -1)  # nothing lies between the two: the lower one splits them, wherever they stand
    assert thresholds_of([-0.5, just]).tolist() == [NOTHING_KEPT, just, ALL_KEPT]
    assert thresholds_of([-0.25, -0.5, just]).tolist() == [NOTHING_KEPT, just, -0.375, ALL_KEPT]


def test_a_gain_is_weighed_by_what_it_costs() -> None:
    gain = np.array([0.3, 0.3, -0.1])
    assert need_by_gain(gain).tolist() == gain.tolist()
    cost = np.array([1.0, 4.0, 1.0])
    # worth its price at a value of 10 each: gain × 10 > cost, that is need > 2 / 10 at a mean cost of 2
    assert (~kept(need_by_gain(gain, cost / 2), 2 / 10)).tolist() == (gain * 10 > cost).tolist() == [True, False, False]


@pytest.mark.parametrize("cost", [[1.0, 0.0], [1.0, -2.0], [1.0, np.nan], [np.inf, 1.0]])
def test_an_extra_cost_that_is_none_is_refused(cost: list[float]) -> None:
    with pytest.raises(InvalidCost, match="extra_cost"):
        need_by_gain([0.1, 0.2], cost)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(LengthMismatch):
        need_by_gain([0.1, 0.2], [1.0])
    with pytest.raises(NonFinite):
        need_by_gain([0.1, np.nan])
    with pytest.raises(LengthMismatch):
        need_by_confidence(POLICY[:2], P)
    with pytest.raises(InvalidProbability):
        need_by_confidence(POLICY, P * 2)


@pytest.mark.parametrize("threshold", [NOTHING_KEPT, ALL_KEPT, -0.1, 1 / 3])
def test_a_threshold_survives_json(threshold: float) -> None:
    class Point(BaseModel):
        at: Threshold

    text = json.dumps(Point(at=threshold).model_dump(mode="json"), allow_nan=False)
    assert Point.model_validate_json(text).at == threshold
    assert Point.model_validate_json(Point(at=threshold).model_dump_json()).at == threshold
    assert Point(at=threshold).model_dump() == {"at": threshold}


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_need_is_a_number_or_never_kept(bad: float) -> None:
    assert checked_need([0.1, np.inf], 2).tolist() == [0.1, np.inf]
    with pytest.raises(NonFinite, match="need"):
        checked_need([0.1, bad])
    for need, n in (([0.1], 2), ([0.1, 0.2], 1), ([[0.1, 0.2]], 1), ([[0.1]], None)):
        with pytest.raises(LengthMismatch, match="need"):
            checked_need(need, n)
