"""A fair line: who came first is looked at first, and nobody behind is admitted before."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Demand = TypeVar("Demand")
Grant = TypeVar("Grant")

# How long a `stop` may raise before those who wait notice.
LOOK_S = 0.25


class _Waiter(Generic[Demand, Grant]):
    __slots__ = ("demand", "future", "stop")

    def __init__(self, demand: Demand, stop: Callable[[], object] | None) -> None:
        self.demand, self.stop = demand, stop
        self.future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()


class FairQueue(Generic[Demand, Grant]):
    """Those who wait, in order. No tasks and no locks: `move` looks at the head and is called when something changed.

    Args:
        poll: (grant, seconds) for a demand: a grant, or None and how long to wait before asking again,
            None if that depends on somebody's `move`. What it raises is raised to the one who waits.
        give_back: takes a grant of somebody who was cancelled before knowing.
    """

    def __init__(
        self, poll: Callable[[Demand], tuple[Grant | None, float | None]], give_back: Callable[[Grant], object]
    ) -> None:
        self._poll, self._give_back = poll, give_back
        self._waiters: deque[_Waiter[Demand, Grant]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._looker: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def head(self) -> Demand | None:
        """What the first one demands; None if nobody waits."""
        return self._waiters[0].demand if self._waiters else None

    async def wait(self, demand: Demand, stop: Callable[[], object] | None = None) -> Grant:
        """Stand in line until there is a grant.

        Args:
            demand: for `poll`.
            stop: called at once and at least four times a second; what it raises is raised here.

        Raises:
            What `poll` or `stop` raises.
        """
        if stop is not None:
            stop()
        if not self._waiters:
            grant, _ = self._poll(demand)
            if grant is not None:
                return grant
        waiter: _Waiter[Demand, Grant] = _Waiter(demand, stop)
        self._waiters.append(waiter)
        if stop is not None and self._looker is None:
            self._looker = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        if self._waiters[0] is waiter:
            self.move()
        try:
            return await waiter.future
        except BaseException:
            self._withdraw(waiter)
            raise

    def move(self) -> None:
        """Look at the head, and at the next as long as the head gets an answer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            waiter = self._waiters[0]
            if not waiter.future.done():
                try:
                    grant, wait_s = self._poll(waiter.demand)
                except Exception as error:
                    waiter.future.set_exception(error)
                else:
                    if grant is None:
                        if wait_s is not None:
                            self._timer = asyncio.get_running_loop().call_later(wait_s, self.move)
                        return
                    waiter.future.set_result(grant)
            self._waiters.popleft()
        if self._looker is not None:
            self._looker.cancel()
            self._looker = None

    def _look(self) -> None:
        """Raise what a `stop` raises to those who wait with it."""
        self._looker = None
        again = False
        for waiter in self._waiters:
            if waiter.stop is not None and not waiter.future.done():
                try:
                    waiter.stop()
                    again = True
                except BaseException as error:
                    waiter.future.set_exception(error)
        if again:
            self._looker = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        self.move()

    def _withdraw(self, waiter: _Waiter[Demand, Grant]) -> None:
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            # Granted and cancelled in the same breath.
            self._give_back(future.result())
        elif self._waiters and self._waiters[0] is waiter:
            self.move()
