"""Where a picodollar, a closed loop or a reservation of an earlier process decides."""

import asyncio
from collections.abc import Callable

import pytest

from routecal.tasks.oracle.money.budget import Budget, BudgetReached, InvalidUsd, shown_usd

PICO = 1e-12


async def settled() -> None:
    """Let everybody who can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_cap_is_rounded_down_to_a_picodollar() -> None:
    assert Budget(1.9 * PICO).cap_usd == PICO
    assert Budget(5.0).cap_usd == 5.0


def test_what_is_spent_or_held_is_rounded_up_to_a_picodollar() -> None:
    budget = Budget(None, 1.1 * PICO)
    assert budget.spent_usd == 2 * PICO
    hold = budget.reserve(0.1 * PICO)
    assert (hold.usd, budget.held_usd) == (PICO, PICO)
    budget.settle(hold, 1.1 * PICO)
    assert budget.spent_usd == 4 * PICO
    assert budget.carry(0.1 * PICO).usd == PICO
    assert asyncio.run(budget.enter(0.1 * PICO)).usd == PICO


def test_a_cap_of_one_picodollar_lets_one_through() -> None:
    Budget(PICO).reserve(PICO)
    assert asyncio.run(Budget(PICO).enter(PICO)).usd == PICO


def test_what_an_earlier_process_reserved_is_held_even_beyond_the_cap() -> None:
    budget = Budget(1.0)
    carried = budget.carry(1.5)
    assert (carried.usd, budget.held_usd, budget.spent_usd) == (1.5, 1.5, 0.0)
    with pytest.raises(BudgetReached):
        budget.reserve(0.0)
    budget.settle(carried, 0.25)
    assert (budget.held_usd, budget.spent_usd) == (0.0, 0.25)
    budget.reserve(0.75)


@pytest.mark.parametrize(
    ("name", "give"),
    [
        ("the cap", lambda usd: Budget(usd)),
        ("the amount spent", lambda usd: Budget(1.0, usd)),
        ("the reservation", lambda usd: Budget(1.0).reserve(usd)),
        ("the reservation", lambda usd: Budget(1.0).carry(usd)),
        ("the reservation", lambda usd: asyncio.run(Budget(1.0).enter(usd))),
        ("the cost", lambda usd: (b := Budget(1.0)).settle(b.reserve(0.5), usd)),
    ],
)
def test_a_wrong_amount_is_called_by_what_it_is_for(name: str, give: Callable[[float], object]) -> None:
    with pytest.raises(InvalidUsd) as caught:
        give(-0.5)
    assert str(caught.value) == f"{name} = -0.5 is not an amount in USD; give a number of at least 0"


def test_a_refusal_knows_a_cap_of_nothing_and_what_was_needed() -> None:
    with pytest.raises(BudgetReached) as caught:
        Budget(0.0).reserve(0.5)
    assert (caught.value.cap, caught.value.spent, caught.value.reserved, caught.value.needed) == (0.0, 0.0, 0.0, 0.5)


def test_whoever_needs_all_that_is_left_waits_for_it() -> None:
    async def play() -> None:
        budget = Budget(1.0, 0.25)
        flying = budget.reserve(0.5)
        waiting = asyncio.create_task(budget.enter(0.75))
        await settled()
        assert not waiting.done()
        budget.release(flying)
        assert (await waiting).usd == 0.75

    asyncio.run(asyncio.wait_for(play(), timeout=20))


def test_a_waiter_whose_loop_is_closed_is_passed_over() -> None:
    budget = Budget(1.0)
    flying = budget.reserve(1.0)
    gone = asyncio.new_event_loop()
    left = gone.create_task(budget.enter(0.8))
    gone.run_until_complete(settled())
    gone.close()

    async def play() -> None:
        waiting = asyncio.create_task(budget.enter(0.6))
        await settled()
        assert not waiting.done()
        budget.release(flying)
        assert (await waiting).usd == 0.6
        assert budget.held_usd == 0.6  # nothing for the one that is gone

    asyncio.run(asyncio.wait_for(play(), timeout=20))
    assert not left.done()
    left.get_coro().close()


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0.0, "$0.00"),
        (0.01, "$0.01"),
        (0.56789, "$0.5679"),
        (0.0101, "$0.0101"),
        (0.00999, "$0.00999"),
        (1.005, "$1.0050"),
    ],
)
def test_amounts_are_shown_with_the_digits_they_need(usd: float, shown: str) -> None:
    assert shown_usd(usd) == shown
