"""One pause that all calls to a model share, and how many of them may be in flight."""

import math
import random
import sys

from routecal.tasks.oracle.rate_limit.project_limits import NoProgress

_FIRST_S, _LONGEST_S = 1.0, 60.0

_START = 16
_SATURATED = 0.8
RATE_CUT = 0.8
# A server in trouble is no quota: half the cut.
TROUBLE_CUT = 0.9


class CoolDown:
    """Nobody calls before `until`; each refusal can only extend it.

    Args:
        model: for the error.
        no_progress_s: refusals for this long without a success in between are an error.
        rng: for jitter, at most a tenth of the wait and at most a second: processes that share a quota spread.
    """

    def __init__(self, model: str, no_progress_s: float, rng: random.Random) -> None:
        self.until = -math.inf
        self._model, self._no_progress_s, self._rng = model, no_progress_s, rng
        self._in_a_row = 0
        self._counted_after = 0
        self._refused_since: float | None = None
        self._stuck = False

    def wait_s(self, now: float) -> float:
        """Seconds of pause left, 0 if none.

        Raises:
            NoProgress: refusals for too long, or a pause that will make it too long. Until a call still in flight
                succeeds.
        """
        wait_s = max(0.0, self.until - now)
        if self._stuck:
            raise NoProgress(self._model, self._no_progress_s / 60, wait_s)
        return wait_s

    def refused(self, now: float, retry_after_s: float | None, *, number: int, sent: int) -> None:
        """A call was refused as too fast.

        Args:
            now: monotonic seconds.
            retry_after_s: what the provider asks to wait. Without it 1 s, doubled at each refusal in a row; those of
                calls that were sent before the last pause began say nothing new.
            number: of the call; calls are numbered as they are admitted.
            sent: number of the last call admitted so far.
        """
        if self._refused_since is None or now - self.until > self._no_progress_s:
            # Long after a pause nobody had been refusing: nobody asked.
            self._refused_since = now
        fresh = number > self._counted_after
        if fresh:
            self._in_a_row += 1
            self._counted_after = sent
        if retry_after_s is not None and 0 < retry_after_s < math.inf:
            self._pause(now, retry_after_s)
        elif fresh:
            self._pause(now, min(_LONGEST_S, _FIRST_S * 2.0 ** min(self._in_a_row - 1, 10)))
        self._stuck = max(now, self.until) - self._refused_since >= self._no_progress_s

    def succeeded(self, *, number: int) -> None:
        """A call was answered."""
        self._refused_since, self._stuck = None, False
        if number > self._counted_after:
            self._in_a_row = 0

    def _pause(self, now: float, wait_s: float) -> None:
        self.until = max(self.until, now + wait_s + self._rng.uniform(0.0, min(1.0, wait_s / 10)))


class Width:
    """How many calls may be in flight: grows while it is used, shrinks when the provider complains.

    Doubles every `limit` successes until the first cut, then grows by one every `limit` successes; only while at
    least 80% of it is used, for what is not used proves nothing.

    Args:
        most: never above; 1 or more. Starts at 16 or at this if lower. None: no limit at all.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._width = float(min(_START, most)) if most is not None else math.inf
        self._slow_start = True
        self._cut_after = 0

    @property
    def limit(self) -> int:
        """Calls that may be in flight now, 1 or more."""
        return int(self._width) if self._most is not None else sys.maxsize

    def succeeded(self, *, number: int, in_flight: int) -> None:
        """A call was answered; `in_flight` counts it too. One sent before the last cut is no reason to grow."""
        if self._most is None:
            return
        if number > self._cut_after and in_flight >= _SATURATED * self.limit:
            self._width = min(float(self._most), self._width + (1.0 if self._slow_start else 1.0 / self.limit))

    def cut(self, factor: float, *, number: int, sent: int) -> None:
        """Shrink by `factor`, not below 1; once for all the calls that were sent before."""
        if number > self._cut_after:
            self._width = max(1.0, self._width * factor)
            self._cut_after, self._slow_start = sent, False
