"""The cap holds in whatever order calls come and end, and nobody waits for money that cannot come."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.money.budget import Budget, BudgetReached, Hold

USD = st.floats(0, 10, allow_nan=False) | st.sampled_from([0.0, 0.1, 0.2, 0.3, 1e-12, 1e-13, 1 / 3])


def run(play: Callable[[], Awaitable[None]]) -> None:
    """In an event loop of its own, with an end to waiting: a deadlock is a failure, not a hang."""

    async def limited() -> None:
        await asyncio.wait_for(play(), timeout=20)

    asyncio.run(limited())


async def settled() -> None:
    """Let everybody who can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def exact(usd: float) -> Decimal:
    return Decimal(repr(usd))


def test_entering_waits_for_what_is_in_flight() -> None:
    async def play() -> None:
        budget = Budget(1.0)
        flying = await budget.enter(0.9)
        waiting = asyncio.create_task(budget.enter(0.8))
        await settled()
        assert not waiting.done()
        budget.settle(flying, 0.1)
        budget.settle(await waiting, 0.8)
        assert budget.spent_usd == 0.9

    run(play)


def test_whoever_can_never_fit_is_told_at_once_or_as_soon_as_it_is_clear() -> None:
    async def play() -> None:
        budget = Budget(1.0)
        flying = await budget.enter(0.9)
        with pytest.raises(BudgetReached):
            await budget.enter(1.1)
        big, small = (asyncio.create_task(budget.enter(usd)) for usd in (0.5, 0.2))
        await settled()
        assert not big.done()
        # 0.7 spent: 0.5 will never fit, 0.2 does
        budget.settle(flying, 0.7)
        with pytest.raises(BudgetReached):
            await big
        budget.release(await small)

    run(play)


def test_first_come_first_served() -> None:
    async def play() -> None:
        budget = Budget(1.0)
        one, two = await budget.enter(0.5), await budget.enter(0.5)
        big, small = (asyncio.create_task(budget.enter(usd)) for usd in (0.9, 0.1))
        await settled()
        budget.release(one)
        await settled()
        # the small one would fit, but then the big one might wait for ever
        assert not big.done()
        assert not small.done()
        late = asyncio.create_task(budget.enter(0.05))
        await settled()
        assert not late.done()
        budget.release(two)
        await asyncio.gather(big, small)
        assert budget.held_usd == 1.0
        late.cancel()

    run(play)


@pytest.mark.parametrize("granted", [False, True])
def test_a_cancelled_waiter_takes_nothing_with_it(granted: bool) -> None:
    async def play() -> None:
        budget = Budget(1.0)
        flying = await budget.enter(1.0)
        first, second = (asyncio.create_task(budget.enter(usd)) for usd in (0.7, 0.6))
        await settled()
        if granted:
            # granted and cancelled before it could know
            budget.release(flying)
            first.cancel()
        else:
            first.cancel()
            await settled()
            assert not second.done()
            budget.release(flying)
        hold = await second
        assert first.cancelled()
        assert budget.held_usd == 0.6
        budget.settle(hold, 0.6)
        assert budget.held_usd == 0.0

    run(play)


@given(
    cap=st.none() | USD,
    spent=USD,
    moves=st.lists(st.tuples(st.sampled_from(["reserve", "settle", "unknown", "release"]), USD, st.floats(0, 1))),
)
def test_the_cap_holds_under_any_sequence(
    cap: float | None, spent: float, moves: list[tuple[str, float, float]]
) -> None:
    budget = Budget(cap, spent)
    open_holds: list[tuple[Hold, float]] = []
    paid = Decimal(0)
    for move, usd, share in moves:
        if move == "reserve":
            # refused or not, the sums below must hold
            with contextlib.suppress(BudgetReached):
                open_holds.append((budget.reserve(usd), usd))
        elif open_holds:
            hold, reserved = open_holds.pop(int(share * (len(open_holds) - 1)))
            cost = reserved * share
            if move == "release":
                budget.release(hold)
            else:
                budget.settle(hold, None if move == "unknown" else cost)
                paid += exact(reserved if move == "unknown" else cost)
        if cap is not None and open_holds:
            assert exact(spent) + paid + sum(exact(usd) for _, usd in open_holds) <= exact(cap)
        assert exact(budget.spent_usd) + Decimal("1e-12") >= exact(spent) + paid
    for hold, _ in open_holds:
        budget.release(hold)
    assert budget.held_usd == 0.0


@given(
    cap=st.floats(0.5, 3),
    costs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5), st.booleans()), max_size=25),
)
def test_the_cap_holds_under_any_interleaving(cap: float, costs: list[tuple[float, float, int, bool]]) -> None:
    budget, paid, refused = Budget(cap), [], []  # refused: (spent, worst)

    def check() -> None:
        assert exact(budget.spent_usd) + exact(budget.held_usd) <= exact(cap) + Decimal("1e-11")

    async def call(worst: float, share: float, turns: int) -> None:
        try:
            hold = await budget.enter(worst)
        except BudgetReached as error:
            refused.append((error.spent, worst))
            return
        try:
            check()
            for _ in range(turns):
                await asyncio.sleep(0)
            budget.settle(hold, worst * share)
            paid.append(worst * share)
            check()
        finally:
            budget.release(hold)

    async def play() -> None:
        tasks = [asyncio.create_task(call(worst, share, turns)) for worst, share, turns, _ in costs]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task, (*_, cancelled) in zip(tasks, costs, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            assert task.cancelled() or task.exception() is None

    run(play)
    assert budget.held_usd == 0.0
    assert budget.spent_usd == pytest.approx(sum(paid), abs=1e-9)
    # nobody was refused who would have fitted once all in flight had cost nothing
    assert all(exact(spent) + exact(worst) > exact(cap) - Decimal("1e-11") for spent, worst in refused)


def test_the_cap_holds_between_threads() -> None:
    budget, over = Budget(1.0), []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(300):
            with contextlib.suppress(BudgetReached):
                hold = budget.reserve(rng.uniform(0, 0.5))
                if budget.spent_usd + budget.held_usd > 1.0 + 1e-9:
                    over.append(seed)
                budget.settle(hold, 0.0001) if rng.random() < 0.5 else budget.release(hold)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not over
    assert budget.held_usd == 0.0
    assert round(budget.spent_usd / 0.0001) == pytest.approx(budget.spent_usd / 0.0001, abs=1e-6)


def test_a_waiter_is_woken_from_another_thread() -> None:
    async def play() -> None:
        budget = Budget(1.0)
        flying = budget.reserve(1.0)
        waiting = asyncio.create_task(budget.enter(0.5))
        await settled()
        await asyncio.to_thread(budget.settle, flying, 0.25)
        budget.release(await waiting)

    run(play)
