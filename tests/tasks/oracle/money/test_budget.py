"""What is reserved, spent and given back, to the last decimal, and what is no amount."""

import asyncio
import math
import pickle

import pytest

from routecal.tasks.oracle.money.budget import Budget, BudgetReached, Hold, InvalidUsd


def test_the_difference_of_reservation_and_cost_comes_back() -> None:
    budget = Budget(1.0)
    hold = budget.reserve(0.8)
    assert (budget.spent_usd, budget.held_usd) == (0.0, 0.8)
    with pytest.raises(BudgetReached):
        budget.reserve(0.3)
    budget.settle(hold, 0.25)
    assert (budget.spent_usd, budget.held_usd) == (0.25, 0.0)
    budget.release(budget.reserve(0.75))
    # 0.25 + 0.75 is the cap itself, which may be reached
    budget.settle(budget.reserve(0.75), None)
    assert (budget.spent_usd, budget.held_usd) == (1.0, 0.0)
    with pytest.raises(BudgetReached):
        budget.reserve(1e-12)
    budget.release(budget.reserve(0.0))


def test_sums_are_exact_where_floats_are_not() -> None:
    assert 0.1 + 0.1 + 0.1 > 0.3
    budget = Budget(0.3)
    holds = [budget.reserve(0.1) for _ in range(3)]
    for hold in holds:
        budget.settle(hold, 0.1)
    assert budget.spent_usd == 0.3
    many = Budget(None)
    for _ in range(100_000):
        many.settle(many.reserve(0.0077), 0.0021)
    assert many.spent_usd == 210.0


def test_no_cap_lets_everything_through_and_counts_it() -> None:
    budget = Budget(None, 5)
    budget.settle(budget.reserve(1e9), 1e9)
    assert budget.spent_usd == 1e9 + 5
    assert budget.cap_usd is None


def test_a_cap_of_nothing_lets_nothing_through() -> None:
    budget = Budget(0.0)
    for usd in (0.0, 1e-12, 1.0):
        with pytest.raises(BudgetReached):
            budget.reserve(usd)
        with pytest.raises(BudgetReached):
            asyncio.run(budget.enter(usd))


def test_what_was_spent_before_counts() -> None:
    budget = Budget(5.0, 4.5)
    assert budget.spent_usd == 4.5
    with pytest.raises(BudgetReached):
        budget.reserve(0.6)
    budget.reserve(0.5)
    with pytest.raises(BudgetReached):
        Budget(5.0, spent_usd=7.0).reserve(0.0)


def test_a_cost_above_its_reservation_is_counted_as_it_is() -> None:
    budget = Budget(1.0)
    budget.settle(budget.reserve(0.5), 1.5)
    assert budget.spent_usd == 1.5
    with pytest.raises(BudgetReached):
        budget.reserve(0.0)


@pytest.mark.parametrize("usd", [-0.01, math.nan, math.inf, -math.inf, True, "1", None])
def test_amounts_that_are_none(usd: float) -> None:
    budget = Budget(1.0)
    with pytest.raises(InvalidUsd, match="USD"):
        budget.reserve(usd)
    with pytest.raises(InvalidUsd):
        asyncio.run(budget.enter(usd))
    with pytest.raises(InvalidUsd):
        Budget(1.0, usd)
    hold = budget.reserve(0.5)
    if usd is not None:
        with pytest.raises(InvalidUsd):
            Budget(usd)
        with pytest.raises(InvalidUsd):
            budget.settle(hold, usd)
    assert (budget.spent_usd, budget.held_usd) == (0.0, 0.5)
    budget.settle(hold, 0.5)


def test_a_hold_ends_once() -> None:
    budget = Budget(1.0)
    hold = budget.reserve(0.5)
    budget.settle(hold, 0.25)
    # as in `finally: release`
    budget.release(hold)
    assert (budget.spent_usd, budget.held_usd) == (0.25, 0.0)
    for gone in (hold, Hold(0.5), Budget(1.0).reserve(0.5)):
        with pytest.raises(ValueError, match="not open"):
            budget.settle(gone, 0.1)
    assert budget.spent_usd == 0.25


def test_the_sentence_says_how_to_go_on() -> None:
    budget = Budget(5.0, 4.9951)
    budget.reserve(0.001)
    with pytest.raises(BudgetReached) as caught:
        budget.reserve(0.00768)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.cap, error.spent, error.reserved, error.needed) == (5.0, 4.9951, 0.001, 0.00768)
    said = str(error)
    assert said.startswith(
        "the next call can cost up to $0.00768, but of the $5.00 allowed $4.9951 is spent and $0.001 reserved"
    )
    assert "--max-usd" in said
    assert "reserved" not in str(BudgetReached(0.0, 0.0, 0.0, 1.0))
