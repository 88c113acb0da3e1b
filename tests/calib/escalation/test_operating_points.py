"""The operator's words become the threshold that they mean, or a sentence with the nearest that can be had."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.calib.decision_errors import OutOfReach
from routecal.calib.errors import LengthMismatch, OutOfRange, TooFewExamples
from routecal.calib.escalation import curve
from routecal.calib.escalation.expected_cost import fit_extra_cost
from routecal.calib.escalation.operating_points import (
    threshold_at_budget,
    threshold_at_call_rate,
    threshold_at_saving,
    threshold_at_value,
)
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT, kept, need_by_gain, thresholds_of
from tests.calib.escalation.made import NEED, SIX, cases, simulated


@settings(max_examples=60, deadline=None)
@given(cases(), st.floats(0, 1))
def test_a_call_rate_is_kept_and_used_up(case: tuple[Outcomes, np.ndarray, np.ndarray], rate: float) -> None:
    _, _, need = case
    never = float(np.isinf(need).mean())
    if never > rate + 1e-9:
        with pytest.raises(OutOfReach, match="call rate"):
            threshold_at_call_rate(need, rate)
        return
    found = threshold_at_call_rate(need, rate)
    assert (~kept(need, found)).mean() <= rate + 1e-9
    lower = [t for t in thresholds_of(need) if t < found]
    assert all((~kept(need, t)).mean() > rate for t in lower)


@settings(max_examples=60, deadline=None)
@given(cases(), st.floats(0, 1))
def test_a_budget_is_kept_from_its_threshold_on(case: tuple[Outcomes, np.ndarray, np.ndarray], share: float) -> None:
    outcomes, _, need = case
    costs = (outcomes.medium_cost, outcomes.large_cost)
    line = curve(outcomes, need)
    budget = line.cost.min() + share * (line.cost.max() - line.cost.min())
    if line.cost[-1] > budget + 1e-9:
        with pytest.raises(OutOfReach, match="budget"):
            threshold_at_budget(need, *costs, 1000 * budget)
        return
    found = threshold_at_budget(need, *costs, 1000 * budget)
    at = int(np.flatnonzero(line.threshold == found)[0])
    assert (line.cost[at:] <= budget + 1e-7).all()
    assert at == 0 or line.cost[at - 1] > budget - 1e-7


def test_a_saving_is_a_budget() -> None:
    outcomes, need = simulated(300, 1, own_prices=True)
    costs = (outcomes.medium_cost, outcomes.large_cost)
    found = threshold_at_saving(need, *costs, 0.3)
    assert found == threshold_at_budget(need, *costs, 700 * outcomes.large_cost.mean())
    point = curve(outcomes, need, thresholds=[found]).point(0)
    assert 0.3 <= 1 - point.cost / outcomes.large_cost.mean() < 0.31
    assert threshold_at_saving(need, *costs, 0.0) == NOTHING_KEPT


def test_what_cannot_be_had_is_a_sentence_with_the_nearest() -> None:
    # Complex queries cost 10 and 40, the others 1 each: 54 of 6
    with pytest.raises(OutOfReach, match=r"budget of 8000 for 1,000 queries .* the nearest that can be had is 9000"):
        threshold_at_budget(NEED, SIX.medium_cost, SIX.large_cost, 8000)
    assert threshold_at_budget(NEED, SIX.medium_cost, SIX.large_cost, 9000) == ALL_KEPT
    with pytest.raises(OutOfReach, match=r"saving of 50\.0% cannot be had: .* saves 40\.0%"):
        threshold_at_saving(NEED, SIX.medium_cost, SIX.large_cost, 0.5)
    with pytest.raises(OutOfReach, match=r"call rate of 10\.0% .* nearest that can be had is 33\.3%"):
        threshold_at_call_rate(NEED, 0.1)
    for rate in (-0.1, 1.1, np.nan):
        with pytest.raises(OutOfRange, match="call_rate"):
            threshold_at_call_rate(NEED, rate)
        with pytest.raises(OutOfRange, match="saving"):
            threshold_at_saving(NEED, SIX.medium_cost, SIX.large_cost, rate)
    with pytest.raises(OutOfReach, match="saves nothing: the large model is free"):
        threshold_at_saving([0.1, 0.2], [1.0, 1.0], [0.0, 0.0], 0.5)
    with pytest.raises(LengthMismatch, match="large_cost"):
        threshold_at_budget(NEED, SIX.medium_cost, [1.0], 8000)


def test_a_value_buys_what_it_is_worth() -> None:
    rng = np.random.default_rng(0)
    gain, tokens = rng.uniform(-0.5, 0.5, 200), rng.integers(5, 500, 200)
    cost = 0.001 + 0.0001 * tokens
    large = ~kept(need_by_gain(gain, fit_extra_cost(tokens, cost)(tokens)), threshold_at_value(0.2, cost.mean()))
    assert large.tolist() == (gain * 0.2 > cost).tolist()
    for bad in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(OutOfRange, match="value"):
            threshold_at_value(bad)


@pytest.mark.parametrize(
    ("tokens", "extra", "flat", "per_token"),
    [
        ([10, 20, 30], [6.0, 5.0, 4.0], 1.0, 0.0),  # falls with the length: flat
        ([10, 20, 30], [1.0, 5.0, 9.0], 0.0, 1 / 20),  # -3 + .4 a token: through 0 instead
        ([10, 10, 10], [1.0, 2.0, 3.0], 1.0, 0.0),  # one length
    ],
)
def test_expected_costs_are_never_below_nothing(
    tokens: list[int], extra: list[float], flat: float, per_token: float
) -> None:
    found = fit_extra_cost(tokens, extra)
    assert (found.flat, found.per_token) == pytest.approx((flat, per_token))
    assert (found([0, 1, 1000]) > 0).all()


def test_expected_costs_have_a_mean_of_1_over_the_rows_that_made_them() -> None:
    rng = np.random.default_rng(1)
    tokens = rng.integers(5, 300, 500)
    extra = 0.01 * rng.lognormal(0, 1, 500) + 0.0002 * tokens - 0.005
    found = fit_extra_cost(tokens, extra)
    assert found(tokens).mean() == pytest.approx(1)
    assert fit_extra_cost(tokens, 100 * extra)(tokens) == pytest.approx(found(tokens))


def test_a_large_model_that_is_not_dearer_has_no_extra_cost_to_expect() -> None:
    with pytest.raises(OutOfRange, match="dearer"):
        fit_extra_cost([1, 2], [0.0, 0.0])
    with pytest.raises(TooFewExamples):
        fit_extra_cost([], [])
    with pytest.raises(LengthMismatch):
        fit_extra_cost([1], [0.1, 0.2])
