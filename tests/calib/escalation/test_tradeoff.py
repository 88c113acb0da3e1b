"""Every number of a curve by hand, and what must hold of any curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.calib.errors import LengthMismatch, NonFinite
from routecal.calib.escalation import Outcomes, curve, oracle_line, random_mix
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT
from tests.calib.escalation.made import NEED, POLICY, SIX, C, cases


def test_every_number_by_hand() -> None:
    found = curve(SIX, NEED, to_large=POLICY == C)
    # threshold            -inf         -.8 (-0)      -.55 (-4)     inf (-1, 3)
    # large serves         all          1-5           1, 2, 3, 5    2, 5
    # right                all but 3    all but 3     0, 1, 2, 5    0, 2, 5
    assert found.quality == pytest.approx([5 / 6, 5 / 6, 4 / 6, 3 / 6])
    assert found.cost == pytest.approx([90 / 6, 81 / 6, 72 / 6, 54 / 6])
    assert found.escalated == pytest.approx([4 / 6, 3 / 6, 2 / 6, 0])
    assert found.downgraded == pytest.approx([0, 0, 0, 0])
    assert found.large == pytest.approx([1, 5 / 6, 4 / 6, 2 / 6])
    # medium wrong and large right: 1, 4 (and 5, which large serves anyhow); medium right where large serves: 2, then 0
    assert found.harmful_cheap == pytest.approx([0, 0, 1 / 6, 2 / 6])
    assert found.wasteful_large == pytest.approx([2 / 6, 1 / 6, 1 / 6, 1 / 6])
    point = found.point(2)
    assert (point.threshold, point.quality, point.escalated) == pytest.approx((-0.55, 4 / 6, 2 / 6))


def test_complex_queries_may_go_down_where_their_need_is_small() -> None:
    found = curve(SIX, [0.1, 0.6, 0.2, 0.7, 0.3, 0.9], thresholds=[0.25, 0.95], to_large=POLICY == C)
    assert found.downgraded == pytest.approx([1 / 6, 2 / 6])  # row 2, then row 5 too
    assert found.escalated == pytest.approx([3 / 6, 0])  # rows 1, 3 and 4
    unknown = curve(SIX, NEED)
    assert unknown.escalated is None
    assert (unknown.point(0).escalated, unknown.point(0).downgraded) == (None, None)
    with pytest.raises(LengthMismatch, match="to_large"):
        curve(SIX, NEED, to_large=[0, 1])


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
    outcomes, policy, need = case
    found = curve(outcomes, need, to_large=policy == C)
    alone = np.where(policy == C, outcomes.large_right, outcomes.medium_right)
    assert (found.threshold[0], found.threshold[-1]) == (NOTHING_KEPT, ALL_KEPT)
    assert found.quality[-1] == pytest.approx(alone.mean())
    assert found.escalated is not None
    assert found.escalated[-1] == 0
    assert found.quality[0] == pytest.approx(outcomes.large_right.mean())
    assert found.cost[0] == pytest.approx(outcomes.large_cost.mean())
    assert found.large[0] == pytest.approx(1)
    assert found.harmful_cheap[0] == pytest.approx(0)


@settings(max_examples=60, deadline=None)
@given(cases(), st.lists(st.floats(-1.1, 0.1), min_size=1, max_size=8))
def test_one_pass_equals_counting_at_each_threshold(
    case: tuple[Outcomes, np.ndarray, np.ndarray], thresholds: list[float]
) -> None:
    outcomes, policy, need = case
    at = np.sort([*thresholds, *need[:3]])
    found = curve(outcomes, need, thresholds=at, to_large=policy == C)
    for i, t in enumerate(at):
        large = (policy == C) | (need > t)
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
def test_escalation_only_shrinks_with_the_threshold(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    outcomes, policy, need = case
    found = curve(outcomes, need, to_large=policy == C)
    assert found.escalated is not None
    assert (np.diff(found.escalated) <= 0).all()
    assert (np.diff(found.large) <= 0).all()
    assert (np.diff(found.wasteful_large) <= 1e-12).all()
    assert (np.diff(found.harmful_cheap) >= -1e-12).all()


@settings(max_examples=60, deadline=None)
@given(cases())
def test_no_assignment_beats_the_oracle(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    outcomes, _, need = case
    best = oracle_line(outcomes)
    assert best.quality[-1] == pytest.approx(np.maximum(outcomes.medium_right, outcomes.large_right).mean())
    for line in (curve(outcomes, need).line, random_mix(outcomes, np.linspace(0, 1, 7)).line):
        assert (line.cost >= best.cost[0] - 1e-9).all()
        assert (line.quality <= np.interp(line.cost + 1e-9, best.cost, best.quality) + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(cases())
def test_random_mix_is_a_straight_line(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    found = random_mix(case[0], np.linspace(0, 1, 11))
    for values in (found.quality, found.cost, found.harmful_cheap, found.wasteful_large):
        assert np.diff(values, n=2) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("need", [NEED[:2], NEED[None], [np.nan, *NEED[1:]], [-np.inf, *NEED[1:]]])
def test_a_need_that_does_not_fit_is_refused(need: np.ndarray) -> None:
    with pytest.raises((LengthMismatch, NonFinite), match="need"):
        curve(SIX, need)
