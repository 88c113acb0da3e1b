"""Many callers, quotas, refusals and cancellations at once, in virtual time."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.sliding_window import HEADROOM
from tests.tasks.oracle.rate_limit.sending import sending
from tests.tasks.oracle.virtual_time import clock, gate, run, turns
from tests.tasks.oracle.windows import Admitted, fullest


class Provider:
    """Answers after a while, and refuses at random; remembers when it was called."""

    def __init__(self, served: RateLimiter, rng: random.Random, refuse_frac: float) -> None:
        self.gate, self.rng, self.refuse_frac = served, rng, refuse_frac
        self.calls: list[Admitted] = []
        self.tokens: list[Admitted] = []
        self.nano_usd: list[Admitted] = []
        self.quiet = (0.0, 0.0)
        self.in_flight = 0

    async def ask(self, tokens: int, usd: float) -> None:
        """One call, again and again until it is answered."""
        while True:
            permit = await self.gate.enter(tokens=tokens, usd=usd)
            at = clock()
            assert not self.quiet[0] < at < self.quiet[1], "called in a pause"
            used = self.rng.randint(0, tokens), self.rng.uniform(0.0, usd)
            self.calls.append(Admitted(at, 1))
            self.in_flight += 1
            assert self.in_flight <= self.gate.in_flight <= 64
            await asyncio.sleep(self.rng.choice([0.0, 0.2, 5.0]))
            self.in_flight -= 1
            if self.rng.random() >= self.refuse_frac:
                self.tokens.append(Admitted(at, used[0]))
                self.nano_usd.append(Admitted(at, round(used[1] * 1e9)))
                permit.succeeded(tokens=used[0], usd=used[1])
                return
            retry_after_s = self.rng.choice([1.0, 3.0])
            self.quiet = (clock(), max(self.quiet[1], clock() + retry_after_s))
            permit.failed(Fault(FaultKind.RATE, 429, "too fast", retry_after_s))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 150),
    rpm=st.sampled_from([None, 30, 600]),
    tpm=st.sampled_from([None, 10_000]),
    usd=st.sampled_from([None, 2.0]),
    refuse_frac=st.sampled_from([0.0, 0.05, 0.3]),
    shares=st.lists(st.tuples(st.floats(0.0, 60.0), st.sampled_from([0.1, 0.5, 1.0])), max_size=3),
)
def test_no_quota_is_exceeded_no_pause_broken_and_everybody_is_served(seed, n, rpm, tpm, usd, refuse_frac, shares):
    async def main() -> None:
        rng = random.Random(seed)
        shared = gate(rpm=rpm, tpm=tpm, usd_per_10min=usd)
        provider = Provider(shared, rng, refuse_frac)
        for delay_s, share in shares:
            asyncio.get_running_loop().call_later(delay_s, setattr, shared, "share", share)
        async with asyncio.TaskGroup() as group:
            for _ in range(n):
                group.create_task(provider.ask(rng.randint(0, 2000), rng.uniform(0.0, 0.2)))
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.expovariate(1.0))
        assert len(provider.tokens) == n
        assert shared.admitted == len(provider.calls) == n + shared.throttled
        assert (shared.in_flight, shared.waiting) == (0, 0)
        assert fullest(provider.calls, 60.0) <= (rpm or n * 1000)
        assert fullest(provider.tokens, 60.0) <= (tpm or n * 2000)
        assert fullest(provider.nano_usd, 600.0) <= (usd or n) * 1e9

    run(main())


def test_a_quota_of_requests_is_used_to_95_percent():
    async def main() -> int:
        shared = gate(rpm=600)
        start = clock()

        async def worker() -> int:
            n = 0
            while clock() < start + 300.0:
                with sending(await shared.enter(tokens=500)):
                    n += clock() < start + 300.0
                    await asyncio.sleep(0.2)
            return n

        return sum(await asyncio.gather(*[worker() for _ in range(64)]))

    assert run(main()) >= 0.95 * 5 * 600


@pytest.mark.parametrize(("limits", "refused"), [({}, 150), ({"rpm": 60, "window_s": 3.0}, 0)])
def test_the_provider_refuses_few_if_the_quota_is_unknown_and_none_if_it_is_known(limits, refused):
    # The quota is 60 per 3 s. Each call retrying on its own, as it was told, met 252 refusals.
    async def main() -> tuple[int, float]:
        shared, served, start = gate(**limits), Counter(), clock()

        async def ask() -> None:
            while True:
                permit = await shared.enter()
                window = int(clock() / 3.0)
                served[window] += 1
                fits = served[window] <= 60
                await asyncio.sleep(0.2)
                if fits:
                    permit.succeeded()
                    return
                permit.failed(Fault(FaultKind.RATE, 429, "too fast", 3.0 * (window + 1) - clock()))

        await asyncio.gather(*[ask() for _ in range(300)])
        return shared.throttled, clock() - start

    throttled, took_s = run(main())
    assert throttled <= refused
    assert took_s <= 1.1 * 300 / 60 * 3.0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_cancelled_callers_lose_nothing(seed):
    async def main() -> None:
        rng = random.Random(seed)
        shared, sent = gate(rpm=300, tpm=3000), []

        async def ask(tokens: int) -> None:
            with sending(await shared.enter(tokens=tokens)):
                sent.append(Admitted(clock(), tokens))
                await asyncio.sleep(0.1)

        tasks = [asyncio.ensure_future(ask(rng.randint(0, 100))) for _ in range(80)]
        doomed = rng.sample(tasks, 60)
        while not all(task.done() for task in tasks):
            await asyncio.sleep(rng.choice([0.0, 0.0, 0.05, 1.0]))
            for task in [doomed.pop() for _ in range(min(len(doomed), rng.randint(0, 5)))]:
                task.cancel()
        await turns()
        assert (shared.in_flight, shared.waiting, shared.admitted) == (0, 0, len(sent))
        # Buckets hold what was sent, and nothing of what was not.
        kept = {quota: bucket._total for quota, bucket in shared._buckets.items()}
        recent = [a for a in sent if a.at > clock() - 60.0 / HEADROOM]
        assert kept == {"rpm": len(recent), "tpm": sum(a.amount for a in recent)}

    run(main())
