"""A promise that holds is hardly ever called broken, one that does not is found soon, and the state is small."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from routecal.calib.errors import OutOfRange
from routecal.calib.feedback.risk_monitor import STAKES, RiskMonitor


def run(monitor: RiskMonitor, losses: np.ndarray, weights: np.ndarray | None = None) -> RiskMonitor:
    for i, loss in enumerate(losses.tolist()):
        monitor = monitor.after(loss, weight=1.0 if weights is None else float(weights[i]))
    return monitor


def test_the_first_two_steps_by_hand() -> None:
    # lambda of each stake: stake / .1; after a loss of 1 and one of 0: (1 + .9 l)(1 - .1 l)
    found = RiskMonitor(level=0.1).after(1).after(0)
    factors = [(1 + 0.9 * s / 0.1, 1 - 0.1 * s / 0.1) for s in STAKES]
    assert np.exp(found.log_products) == pytest.approx([a * b for a, b in factors])
    # r = (0 + 1) a, then (a + 1) b
    assert np.exp(found.log_detectors) == pytest.approx([(a + 1) * b for a, b in factors])
    assert found.evidence == pytest.approx(math.log(np.mean([a * b for a, b in factors])))


def test_the_state_comes_back_from_json_and_goes_on_as_if_nothing_were() -> None:
    rng = np.random.default_rng(0)
    losses = (rng.random(200) < 0.1).astype(float)
    new = RiskMonitor(level=0.1)
    assert RiskMonitor.model_validate_json(new.model_dump_json()) == new
    half = RiskMonitor.model_validate_json(run(new, losses[:100]).model_dump_json())
    assert run(half, losses[100:]) == run(new, losses)


def test_an_alarm_stays_and_names_the_decision_it_came_at() -> None:
    found = run(RiskMonitor(level=0.1), np.ones(30))
    assert found.broken_after is not None
    calm = run(found, np.zeros(500))
    assert (calm.broken_after, calm.changed_after) == (found.broken_after, found.changed_after)
    assert calm.evidence < 0


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3])
def test_a_promise_that_just_holds_is_called_broken_no_more_often_than_said(level: float) -> None:
    rng = np.random.default_rng(1)
    broken = sum(
        run(RiskMonitor(level=level, false_alarm=0.1), (rng.random(400) < level).astype(float)).broken_after is not None
        for _ in range(100)
    )
    # 10 of 100 are allowed; 20 would be beyond three standard errors
    assert broken <= 19


def test_weights_undo_a_choice_of_what_is_labelled() -> None:
    """Wrong decisions are labelled four times as often: with weights the risk is what it is, without it is too high."""
    rng = np.random.default_rng(2)
    wrong = rng.random(20_000) < 0.08
    p = np.where(wrong, 0.8, 0.2)
    labelled = rng.random(20_000) < p
    losses, weights = wrong[labelled].astype(float), 0.2 / p[labelled]
    assert run(RiskMonitor(level=0.1), losses[:1500]).broken_after is not None
    assert run(RiskMonitor(level=0.1), losses, weights).broken_after is None


def test_a_risk_that_can_be_won_back_is_bet_on_within_its_means() -> None:
    found = run(RiskMonitor(level=0.01, lowest=-1.0), np.full(50, -1.0))
    assert found.broken_after is None
    assert all(map(math.isfinite, found.log_products))
    assert run(RiskMonitor(level=0.01, lowest=-1.0), np.ones(50)).broken_after is not None


@given(
    level=st.floats(0.001, 0.999),
    steps=st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 1)), max_size=30),
)
def test_no_bet_loses_more_than_there_is(level: float, steps: list[tuple[float, float]]) -> None:
    monitor = RiskMonitor(level=level)
    for loss, weight in steps:
        monitor = monitor.after(loss, weight=weight)
    assert all(map(math.isfinite, monitor.log_products))
    assert monitor.n == len(steps)


@pytest.mark.parametrize(("loss", "weight"), [(1.1, 1), (-0.1, 1), (math.nan, 1), (1, 0), (1, 1.01), (1, math.nan)])
def test_what_is_no_loss_and_no_weight(loss: float, weight: float) -> None:
    with pytest.raises(OutOfRange):
        RiskMonitor(level=0.1).after(loss, weight=weight)


@pytest.mark.parametrize(
    "wrong",
    [{"log_products": [0, 0]}, {"log_products": [math.nan] * 5}, {"log_detectors": [math.inf] * 5}, {"level": 0}],
)
def test_a_state_that_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RiskMonitor(**({"level": 0.1} | wrong))
