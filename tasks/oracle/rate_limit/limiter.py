"""The gate before one model of one project: nobody calls faster than its quotas allow and the provider bears.

A gate is used from one event loop. Who waits stands in a fair line; the rest are plain functions of an injected clock.
"""

import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.rate_limit.cooldown import RATE_CUT, TROUBLE_CUT, CoolDown, Width
from routecal.tasks.oracle.rate_limit.daily_quota import DayBreaker, DayQuotaReached
from routecal.tasks.oracle.rate_limit.fair_queue import FairQueue
from routecal.tasks.oracle.rate_limit.permit import Amounts, Permit
from routecal.tasks.oracle.rate_limit.project_limits import Limits, NoProgress, Quota, QuotaTooSmall
from routecal.tasks.oracle.rate_limit.sliding_window import Bucket, WindowEntry

Binding = Literal["rpm", "tpm", "usd", "cool-down", "concurrency", "day quota", ""]

NO_PROGRESS_S = 900.0

# Money is counted in whole units of this part of a dollar.
_PER_USD = 1_000_000_000
# Timers are no finer; a wait is never 0.
_SHORTEST_WAIT_S = 1e-4


class RateLimiter:
    """Admits calls to one model of one project.

    Args:
        model: for errors.
        limits: what is allowed.
        clock: monotonic seconds.
        wall: the time of day, with a time zone; the daily quota ends at a time of day.
        rng: of jitter.
        no_progress_s: refusals for this long without one success in between are an error.
    """

    def __init__(
        self,
        model: str,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random,
        no_progress_s: float = NO_PROGRESS_S,
    ) -> None:
        self.model, self.limits = model, limits
        self.admitted, self.throttled, self.in_flight = 0, 0, 0
        self._clock = clock
        self._buckets: dict[Quota, Bucket] = {}
        now = clock()
        if limits.rpm is not None:
            # Less than one per minute is one per more than a minute.
            window_s = limits.window_s / min(1.0, limits.rpm)
            self._buckets["rpm"] = Bucket(max(1.0, limits.rpm), window_s, now=now)
        if limits.tpm is not None:
            self._buckets["tpm"] = Bucket(limits.tpm, limits.window_s, now=now)
        if limits.usd_per_10min is not None:
            self._buckets["usd"] = Bucket(limits.usd_per_10min * _PER_USD, limits.usd_window_s, now=now)
        self._share = 1.0
        self._width = Width(limits.concurrency)
        self._cooldown = CoolDown(model, no_progress_s, rng)
        self._breaker = DayBreaker(model, wall)
        self._numbered = 0
        self._last_demand: Amounts = {}
        self._line: FairQueue[Amounts, Permit] = FairQueue(self._poll, Permit.withdraw)

    @property
    def share(self) -> float:
        """The part of rpm, tpm and usd that this process may use, in (0, 1]. Concurrency is not a quota and stays."""
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"share = {share} is not in (0, 1]")
        self._share = share
        for bucket in self._buckets.values():
            bucket.set_share(share, now=self._clock())
        self.wake()

    @property
    def concurrency(self) -> int:
        """Calls that may be in flight now."""
        return self._width.limit

    @property
    def waiting(self) -> int:
        """Calls in the line."""
        return len(self._line)

    @property
    def binding(self) -> Binding:
        """What the next call, or else one like the last, would wait for now; empty if for nothing."""
        try:
            return self._obstacle(self._line.head() or self._last_demand)[0]
        except DayQuotaReached:
            return "day quota"
        except NoProgress:
            return "cool-down"

    async def enter(self, *, tokens: int = 0, usd: float = 0.0, stop: Callable[[], object] | None = None) -> Permit:
        """Wait in line until the call may be sent. Cancelled, it leaves no trace.

        Args:
            tokens: input tokens it will take, about; 0 or more.
            usd: what it will cost, about. Too low an estimate delays the calls that follow, too high an estimate
                delays this one; so the likely cost is better here than the worst.
            stop: raises when the caller has to stop; its error comes out here within a quarter of a second.

        Raises:
            QuotaTooSmall: it will never fit.
            DayQuotaReached: not today.
            NoProgress: the model has refused everything for too long. It stays so until a call in flight succeeds.
            ValueError: a negative amount.
        """
        return await self._line.wait(self._demand(tokens, usd), stop)

    def wake(self) -> None:
        """Look at the head of the line again."""
        if self._line:
            self._line.move()

    def amounts(self, tokens: int, usd: float) -> Amounts:
        """What a call takes of each limited quota, in whole units."""
        if tokens < 0 or not 0.0 <= usd < math.inf:
            raise ValueError(f"a call of {tokens} tokens and {usd} USD; both must be 0 or more")
        amounts: Amounts = {}
        for quota in self._buckets:
            amounts[quota] = 1 if quota == "rpm" else tokens if quota == "tpm" else math.ceil(usd * _PER_USD)
        return amounts

    def correct(self, quota: Quota, entry: WindowEntry, change: int) -> None:
        """Pass on to the bucket; for permits."""
        self._buckets[quota].correct(entry, change, now=self._clock())

    def _demand(self, tokens: int, usd: float) -> Amounts:
        amounts = self.amounts(tokens, usd)
        for quota, amount in amounts.items():
            if amount > self._buckets[quota].limit:
                unit = _PER_USD if quota == "usd" else 1
                raise QuotaTooSmall(self.model, quota, self._buckets[quota].limit / unit, amount / unit)
        return amounts

    def _poll(self, amounts: Amounts) -> tuple[Permit | None, float | None]:
        self._last_demand = amounts
        binding, wait_s = self._obstacle(amounts)
        if binding:
            return None, wait_s if wait_s is None else max(wait_s, _SHORTEST_WAIT_S)
        now = self._clock()
        entries = tuple((quota, bucket.take(amounts[quota], now=now)) for quota, bucket in self._buckets.items())
        self.admitted += 1
        self.in_flight += 1
        self._numbered += 1
        return Permit(self, self._numbered, dict(amounts), entries, self._breaker.admit()), None

    def _obstacle(self, amounts: Amounts) -> tuple[Binding, float | None]:
        """What is in the way, and for how many seconds; None if until somebody ends."""
        now = self._clock()
        if (wait_s := self._breaker.wait_s(now)) != 0.0:
            return "day quota", wait_s
        if (wait_s := self._cooldown.wait_s(now)) > 0.0:
            return "cool-down", wait_s
        if self.in_flight >= self._width.limit:
            return "concurrency", None
        binding: Binding = ""
        longest_s = 0.0
        for quota, amount in amounts.items():
            if (wait_s := self._buckets[quota].wait_s(amount, now=now)) > longest_s:
                binding, longest_s = quota, wait_s
        return binding, longest_s

    def note_succeeded(self, permit: Permit) -> None:
        """For permits, as the next two: the model answered."""
        self._width.succeeded(number=permit.number, in_flight=self.in_flight)
        self._cooldown.succeeded(number=permit.number)
        self._breaker.succeeded(probe=permit.probe)
        self._freed()

    def note_failed(self, permit: Permit, fault: Fault) -> None:
        """The call brought a fault."""
        now, calls = self._clock(), {"number": permit.number, "sent": self._numbered}
        if fault.kind is FaultKind.RATE:
            self.throttled += 1
            self._cooldown.refused(now, fault.retry_after_s, **calls)
            self._width.cut(RATE_CUT, **calls)
        elif fault.kind is FaultKind.DAY_QUOTA:
            self.throttled += 1
            self._breaker.refused(now, fault.retry_after_s, probe=permit.probe, **calls)
        elif fault.kind is FaultKind.TRANSIENT and fault.code == 503:
            self._width.cut(TROUBLE_CUT, **calls)
        if permit.probe and fault.kind is not FaultKind.DAY_QUOTA:
            self._breaker.undecided(now)
        self._freed()

    def note_cancelled(self, permit: Permit) -> None:
        """The call was given up, or never sent."""
        if permit.probe:
            self._breaker.undecided(self._clock(), again_s=0.0)
        self._freed()

    def _freed(self) -> None:
        self.in_flight -= 1
        self.wake()
