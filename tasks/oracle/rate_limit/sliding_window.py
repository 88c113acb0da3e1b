"""A quota counted over a sliding window: never exceeded, and not used up in lumps."""

from collections import deque

# The window is kept longer than the provider's by this factor: a call may arrive later than it was admitted, by up to
# 2% of the window, and the quota still holds. (A quota lowered by 2% instead would cost a fifth of 5 per minute.)
HEADROOM = 0.98

# Amounts admitted within this part of a window are logged as one, dated as the last: memory stays bounded.
_GRAIN = 1 / 1000


class WindowEntry:
    """What was admitted at about one moment; `amount` is corrected when the real one is known."""

    __slots__ = ("amount", "at", "gone", "opened")

    def __init__(self, now: float) -> None:
        self.amount, self.opened, self.at, self.gone = 0, now, now, False


class Bucket:
    """A limit on the sum of amounts in any window.

    Two rules, both to be met:

    - the log: what was admitted in the last `window_s / HEADROOM` seconds, and what is asked, stay within
      `share * limit`;
    - the pace: a credit that grows by `share * limit` per such window, up to about a second's worth. An amount takes
      its credit even below zero, so that one larger than the credit ever gets waits for its turn and the next ones
      for their own.

    An amount above `share * limit` but within `limit` passes when nothing else is in the window; the credit makes the
    process wait afterwards until its share on average is kept.

    Args:
        limit: what a window allows; above 0.
        window_s: seconds.
        now: the clock's reading, monotonic seconds.

    Amounts are whole (requests, tokens, nano-USD), so that sums stay exact however long a run takes.
    """

    def __init__(self, limit: float, window_s: float, *, now: float) -> None:
        self.limit, self.window_s = limit, window_s / HEADROOM
        # One second of a minute. Less would lose pace to late timers, hence relatively more in short windows.
        self._burst_s = max(window_s / 60, min(1.0, window_s / 10))
        self._log: deque[WindowEntry] = deque()
        self._total = 0
        self._cap = limit
        self._credit, self._credited_at = self._burst, now

    @property
    def _rate(self) -> float:
        return self._cap / self.window_s

    @property
    def _burst(self) -> float:
        return self._rate * self._burst_s

    def set_share(self, share: float, *, now: float) -> None:
        """Use this part of the limit, in (0, 1], from now on."""
        self._advance(now)
        self._cap = self.limit * share
        self._credit = min(self._credit, self._burst)

    def wait_s(self, amount: int, *, now: float) -> float:
        """Seconds until `amount` could be taken if nothing changes; 0 when it can be now."""
        if amount <= 0:
            return 0.0
        self._advance(now)
        # Half of the credit's ceiling suffices for a large amount: a timer that fires late then wastes no credit.
        missing = min(amount, self._burst / 2) - self._credit
        return max(missing / self._rate, self._window_wait_s(amount, now), 0.0)

    def take(self, amount: int, *, now: float) -> WindowEntry:
        """Log `amount` as admitted now, whether or not it may be."""
        self._advance(now)
        last = self._log[-1] if self._log else None
        if last is None or now - last.opened >= self.window_s * _GRAIN:
            last = WindowEntry(now)
            self._log.append(last)
        last.at = now
        self._add(last, amount)
        return last

    def correct(self, entry: WindowEntry, change: int, *, now: float) -> None:
        """Add `change` to an amount taken earlier: below 0 gives back, above 0 delays what comes next.

        Without effect on what has left the window.
        """
        self._advance(now)
        if not entry.gone:
            # Credit comes back in full, even beyond a burst: what is reserved by high estimates must not slow the
            # run for good. The log alone keeps the limit.
            self._add(entry, change)

    def _add(self, entry: WindowEntry, amount: int) -> None:
        entry.amount += amount
        self._total += amount
        self._credit -= amount

    def _advance(self, now: float) -> None:
        """Forget what has left the window and grow the credit."""
        log = self._log
        while log and log[0].at + self.window_s <= now:
            old = log.popleft()
            old.gone = True
            self._total -= old.amount
        if self._credit < self._burst:
            self._credit = min(self._burst, self._credit + self._rate * (now - self._credited_at))
        self._credited_at = now

    def _window_wait_s(self, amount: int, now: float) -> float:
        allowed = max(self._cap, amount) - amount
        left = self._total
        if left <= allowed:
            return 0.0
        at = now
        for entry in self._log:
            left -= entry.amount
            at = entry.at
            if left <= allowed:
                break
        return at + self.window_s - now
