"""The gate with callers that wait in line, on an event loop in virtual time."""

import asyncio
import random
from functools import partial

import pytest

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.rate_limit.daily_quota import DayQuotaReached
from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.permit import Permit
from routecal.tasks.oracle.rate_limit.project_limits import Limits, QuotaTooSmall
from tests.tasks.oracle.rate_limit.sending import poll, sending
from tests.tasks.oracle.virtual_time import clock, gate, run, turns


async def fill(full: RateLimiter) -> list[Permit]:
    """Everything that may be in flight."""
    return [await full.enter() for _ in range(full.concurrency)]


class Told(Exception):
    """What a caller raises when it has to stop."""


def test_who_comes_first_goes_first_even_if_it_is_the_largest():
    async def main() -> list[int]:
        shared, order = gate(tpm=1000, concurrency=None), []

        async def ask(i: int, tokens: int) -> None:
            with sending(await shared.enter(tokens=tokens)):
                order.append(i)

        rng = random.Random(0)
        await asyncio.gather(*[ask(i, 900 if i == 3 else rng.randint(0, 50)) for i in range(30)])
        return order

    assert run(main()) == list(range(30))


def test_a_freed_place_goes_to_the_first_in_line_not_to_a_newcomer():
    async def main() -> None:
        full = gate()
        permits = await fill(full)
        first = asyncio.ensure_future(full.enter())
        await turns()
        assert (full.waiting, full.binding) == (1, "concurrency")
        permits[0].cancel()
        newcomer = asyncio.ensure_future(full.enter())
        await turns()
        assert first.done()
        assert not newcomer.done()
        newcomer.cancel()

    run(main())


def test_a_newcomer_who_would_fit_stays_behind_one_who_does_not_yet():
    async def main() -> None:
        shared = gate(tpm=1000)
        (await shared.enter(tokens=1000)).succeeded()
        large = asyncio.ensure_future(shared.enter(tokens=500))
        await turns()
        assert isinstance(poll(shared), Permit)
        (await shared.enter(tokens=0)).succeeded()
        assert large.done()

    run(main())


def test_what_is_settled_lets_the_next_go_without_waiting():
    async def main() -> None:
        shared = gate(tpm=1000)
        permit = await shared.enter(tokens=1000)
        waiting = asyncio.ensure_future(shared.enter(tokens=500))
        await turns()
        before = clock()
        permit.settle(tokens=10)
        await waiting
        # Not the minute that the whole quota would have taken.
        assert clock() - before < 1.0

    run(main())


def test_a_larger_share_is_noticed_by_those_who_wait():
    async def main() -> float:
        shared = gate(rpm=60)
        shared.share = 0.01
        start = clock()
        (await shared.enter()).succeeded()
        waiting = asyncio.ensure_future(shared.enter())
        await asyncio.sleep(10.0)
        shared.share = 1.0
        await waiting
        return clock() - start

    assert run(main()) < 12.0


def test_admitted_and_cancelled_in_the_same_breath_gives_everything_back():
    async def main() -> None:
        full = gate(tpm=1000)
        permits = await fill(full)
        caught = asyncio.ensure_future(full.enter(tokens=1000))
        after = asyncio.ensure_future(full.enter(tokens=1000))
        await turns()
        permits[0].cancel()
        caught.cancel()
        await turns()
        assert caught.cancelled()
        assert after.done()
        assert full.admitted == full.in_flight + 1 == 17

    run(main())


def test_a_caller_told_to_stop_leaves_within_a_quarter_of_a_second():
    async def main() -> None:
        full = gate()
        permits = await fill(full)
        permits[0].failed(Fault(FaultKind.RATE, 429, "too fast", 500.0))
        told = False

        def stop() -> None:
            if told:
                raise Told("stop")

        waiting = [asyncio.ensure_future(full.enter(stop=stop if i % 2 else None)) for i in range(8)]
        await asyncio.sleep(1.0)
        told, start = True, clock()
        results = await asyncio.gather(*waiting[1::2], return_exceptions=True)
        assert [type(r) for r in results] == [Told] * 4
        assert clock() - start <= 0.25 + 1e-6
        with pytest.raises(Told):
            await full.enter(stop=stop)
        assert not any(w.done() for w in waiting[0::2])
        for task in waiting:
            task.cancel()
        await turns()
        assert full.waiting == 0

    run(main())


def test_the_end_of_the_day_is_told_to_everybody_in_line():
    async def main() -> None:
        shared = gate()
        day = partial(Fault, FaultKind.DAY_QUOTA, 429, "enough for today")
        (await shared.enter()).failed(day(20.0))
        start = clock()
        waiting = [asyncio.ensure_future(shared.enter()) for _ in range(5)]
        probe = await waiting[0]
        assert clock() - start == pytest.approx(20.0)
        await asyncio.sleep(30.0)
        assert not any(w.done() for w in waiting[1:])
        probe.failed(day(20.0))
        results = await asyncio.gather(*waiting[1:], return_exceptions=True)
        assert [type(r) for r in results] == [DayQuotaReached] * 4

    run(main())


def test_what_can_never_fit_does_not_wait_in_line():
    async def main() -> None:
        full = gate(tpm=1000)
        await fill(full)
        waiting = asyncio.ensure_future(full.enter())
        await turns()
        with pytest.raises(QuotaTooSmall):
            await full.enter(tokens=1001)
        waiting.cancel()

    run(main())


def test_a_gate_outlives_its_loop():
    now = 0.0
    shared = RateLimiter("gemini-x", Limits(rpm=60), clock=lambda: now, rng=random.Random(0))

    async def give_up() -> None:
        (await shared.enter()).succeeded()
        waiting = asyncio.ensure_future(shared.enter())
        await turns()
        assert shared.waiting == 1
        waiting.cancel()

    run(give_up())
    now = 60.0
    run(give_up())
    assert (shared.in_flight, shared.waiting, shared.admitted) == (0, 0, 2)
