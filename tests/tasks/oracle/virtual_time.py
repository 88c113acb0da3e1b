"""Gates on an event loop whose clock leaps to the next timer, so that hours of waiting take no time and no luck."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.project_limits import Limits

T = TypeVar("T")

NOON = datetime(2026, 11, 22, 20, tzinfo=UTC)


class _Leap(selectors.SelectSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits for somebody else")
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs whatever is ready; when nothing is, it is later at once."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        """Seconds, from 1000 on."""
        return self._leap.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def clock() -> float:
    """The clock of the running loop."""
    return asyncio.get_running_loop().time()


async def turns(n: int = 5) -> None:
    """Let everybody run who can, at the same moment."""
    for _ in range(n):
        await asyncio.sleep(0)


def gate(**limits: object) -> RateLimiter:
    """A gate on the running loop's clock."""
    return RateLimiter("gemini-x", Limits(**limits), clock=clock, wall=lambda: NOON, rng=random.Random(0))
