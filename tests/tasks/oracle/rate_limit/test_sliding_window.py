"""A bucket is held against a list of everything that was admitted, summed the slow way."""

import heapq
import itertools
import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.tasks.oracle.rate_limit.sliding_window import HEADROOM, Bucket, WindowEntry
from tests.tasks.oracle.windows import Admitted, fullest


@dataclass
class Wish:
    """A request of a simulation: how long after the one before it, what it reserves, what it really takes, when."""

    gap_s: float
    reserve: int
    used: int
    latency_s: float


def simulate(bucket: Bucket, wishes: list[Wish], *, share_at: dict[int, float] | None = None) -> list[Admitted]:
    """Admit in order, each as early as the bucket lets it, and correct each when it is done."""
    now = arrival = 0.0
    log: list[Admitted] = []
    done: list[tuple[float, int, WindowEntry, Admitted, int]] = []

    def until(time: float) -> float:
        while done and done[0][0] <= time:
            at, _, entry, record, change = heapq.heappop(done)
            bucket.correct(entry, change, now=at)
            record.amount += change
        return time

    share = 1.0
    for i, wish in enumerate(wishes):
        if share_at and i in share_at:
            share = share_at[i]
            bucket.set_share(share, now=now)
        arrival += wish.gap_s
        now = until(max(now, arrival))
        while (wait_s := bucket.wait_s(wish.reserve, now=now)) > 0:
            now = until(min(now + max(wait_s, 1e-4), done[0][0] if done else math.inf))
        record = Admitted(now, wish.reserve)
        log.append(record)
        if share_at and wish.reserve:
            in_window = sum(a.amount for a in log if a.at > now - bucket.window_s + 1e-9)
            assert in_window <= max(share * bucket.limit, wish.reserve)
        entry = bucket.take(wish.reserve, now=now)
        heapq.heappush(done, (now + wish.latency_s, i, entry, record, wish.used - wish.reserve))
    until(math.inf)
    return log


@st.composite
def demands(draw: st.DrawFn, limit: int) -> list[Wish]:
    """Some seconds to minutes of demand, in lumps and trickles, of requests up to the whole limit."""
    largest = draw(st.sampled_from([1, max(1, limit // 10), limit]))
    pause_s = draw(st.sampled_from([0.0, 0.05, 3.0]))
    wishes = []
    rng = random.Random(draw(st.integers(0, 10**6)))
    for _ in range(draw(st.integers(1, 300))):
        reserve = rng.randint(0, largest)
        gap_s = rng.expovariate(1 / pause_s) if pause_s and rng.random() < 0.7 else 0.0
        wishes.append(Wish(gap_s, reserve, rng.randint(0, reserve), rng.choice([0.0, 0.3, 8.0, 100.0])))
    return wishes


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from([3, 60, 1000, 10**6]), st.sampled_from([0.5, 6.0, 60.0]))
def test_no_window_ever_holds_more_than_the_limit_however_late_calls_arrive(data, limit, window_s):
    log = simulate(Bucket(limit, window_s, now=0.0), data.draw(demands(limit)))
    assert fullest(log, window_s / HEADROOM - 1e-6) <= limit
    rng = random.Random(data.draw(st.integers(0, 10**6)))
    late = [Admitted(a.at + rng.uniform(0.0, 0.02 * window_s), a.amount) for a in log]
    assert fullest(late, window_s) <= limit


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from([7, 1000]), st.dictionaries(st.integers(0, 200), st.sampled_from([0.05, 0.5, 1.0])))
def test_a_share_binds_from_the_next_admission_on(data, limit, share_at):
    # `simulate` asserts it at each admission.
    simulate(Bucket(limit, 60.0, now=0.0), data.draw(demands(limit)), share_at=share_at)


@pytest.mark.parametrize(
    ("limit", "window_s"), [(1, 60.0), (5, 60.0), (60, 60.0), (600, 60.0), (10_000, 60.0), (60, 3.0), (600, 6.0)]
)
def test_requests_alone_reach_the_limit_within_five_percent(limit, window_s):
    log = simulate(Bucket(limit, window_s, now=0.0), [Wish(0.0, 1, 1, 0.2)] * 6 * limit)
    assert sum(a.at < 5 * window_s for a in log) >= 0.95 * 5 * limit


@pytest.mark.parametrize("limit", [60, 600, 10_000])
def test_requests_do_not_come_in_lumps(limit):
    log = simulate(Bucket(limit, 60.0, now=0.0), [Wish(0.0, 1, 1, 0.2)] * 3 * limit)
    assert fullest(log, 1.0) <= 2 * limit / 60 + 1


def test_late_timers_cost_no_throughput():
    # Every wait takes 20 ms longer than asked, as on a busy machine.
    bucket, now, n, rng = Bucket(6000, 60.0, now=0.0), 0.0, 0, random.Random(0)
    while now < 300.0:
        if wait_s := bucket.wait_s(1, now=now):
            now += wait_s + rng.uniform(0.0, 0.04)
        else:
            bucket.take(1, now=now)
            n += 1
    assert n >= 0.95 * 5 * 6000


def test_a_large_request_passes_between_small_ones_and_they_wait_for_it():
    small = Wish(0.0, 1000, 1000, 0.2)
    log = simulate(Bucket(1_000_000, 60.0, now=0.0), [*[small] * 500, Wish(0.0, 200_000, 200_000, 0.2), *[small] * 500])
    before, large, after = log[499], log[500], log[501]
    assert large.at - before.at < 1.0
    assert after.at - large.at == pytest.approx(200_000 / 1_000_000 * 60 / HEADROOM, abs=1.0)


def test_a_smaller_share_has_no_credit_left_from_the_larger_one():
    bucket = Bucket(600, 60.0, now=0.0)
    bucket.set_share(0.01, now=0.0)
    bucket.take(1, now=0.0)
    assert bucket.wait_s(1, now=0.0) > 5.0


def test_a_request_larger_than_the_share_goes_alone_and_the_share_is_kept_on_average():
    bucket = Bucket(1000, 60.0, now=0.0)
    bucket.set_share(0.25, now=0.0)
    log = simulate(bucket, [Wish(0.0, 900, 900, 0.2)] * 5, share_at={0: 0.25})
    gaps = [b.at - a.at for a, b in itertools.pairwise(log)]
    assert min(gaps) >= 60.0
    assert sum(gaps) == pytest.approx(4 * 900 / 250 * 60 / HEADROOM, rel=0.05)


def test_estimates_ten_times_too_high_do_not_keep_money_from_being_spent():
    # In flight are 16 at a time: 8% of the limit is reserved and never spent.
    wishes = [Wish(0.0, 500, 50, 5.0)] * 6000
    log = simulate(Bucket(100_000, 600.0, now=0.0), wishes)
    spent = [sum(a.amount for a in log if start <= a.at < start + 600) for start in (600, 1200)]
    assert min(spent) >= 0.9 * 100_000


def test_an_estimate_too_low_delays_the_next_and_breaks_nothing():
    bucket = Bucket(100, 60.0, now=0.0)
    entry = bucket.take(10, now=0.0)
    assert bucket.wait_s(50, now=10.0) == 0.0
    bucket.correct(entry, 140, now=10.0)
    assert bucket.wait_s(50, now=10.0) > 60.0 / HEADROOM - 10.0 - 1e-9
    assert bucket.wait_s(50, now=200.0) == 0.0


def test_what_left_the_window_is_corrected_no_more():
    bucket = Bucket(100, 60.0, now=0.0)
    entry = bucket.take(100, now=0.0)
    assert bucket.wait_s(100, now=300.0) == 0.0
    bucket.correct(entry, 500, now=300.0)
    bucket.correct(entry, -90, now=300.0)
    bucket.take(100, now=300.0)
    assert bucket.wait_s(1, now=300.0) > 0.0


def test_the_log_stays_short_however_many_are_admitted():
    bucket = Bucket(10**9, 600.0, now=0.0)
    for i in range(200_000):
        bucket.take(1, now=i * 0.01)
    assert len(bucket._log) <= 1002
