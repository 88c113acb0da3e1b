"""A fair line: who came first is looked at first, and nobody behind is admitted before."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Wish = TypeVar("Wish")
Leave = TypeVar("Leave")

# How long a `stop` may raise before those who wait notice.
LOOK_S = 0.25


class _Waiter(Generic[Wish, Leave]):
    __slots__ = ("future", "stop", "wish")

    def __init__(self, wish: Wish, stop: Callable[[], object] | None) -> None:
        self.wish, self.stop = wish, stop
        self.future: asyncio.Future[Leave] = asyncio.get_running_loop().create_future()


class FairQueue(Generic[Wish, Leave]):
    """Those who wait, in order. No tasks and no locks: `move` looks at the head and is called when something changed.

    Args:
        poll: (leave, seconds) for a wish: leave if it is granted, else None and how long to wait before asking again,
            None if that depends on somebody's `move`. What it raises is raised to the one who waits.
        give_back: takes a leave that was granted to somebody who was cancelled before knowing.
    """

    def __init__(
        self, poll: Callable[[Wish], tuple[Leave | None, float | None]], give_back: Callable[[Leave], object]
    ) -> None:
        self._poll, self._give_back = poll, give_back
        self._waiters: deque[_Waiter[Wish, Leave]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._looker: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def head(self) -> Wish | None:
        """What the first one wishes; None if nobody waits."""
        return self._waiters[0].wish if self._waiters else None

    async def wait(self, wish: Wish, stop: Callable[[], object] | None = None) -> Leave:
        """Stand in line until leave is granted.

        Args:
            wish: for `poll`.
            stop: called at once and at least four times a second; what it raises is raised here.

        Raises:
            What `poll` or `stop` raises.
        """
        if stop is not None:
            stop()
        if not self._waiters:
            leave, _ = self._poll(wish)
            if leave is not None:
                return leave
        waiter: _Waiter[Wish, Leave] = _Waiter(wish, stop)
        self._waiters.append(waiter)
        if stop is not None and self._looker is None:
            self._looker = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        if self._waiters[0] is waiter:
            self.move()
        try:
            return await waiter.future
        except BaseException:
            self._leave(waiter)
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
                    leave, wait_s = self._poll(waiter.wish)
                except Exception as error:
                    waiter.future.set_exception(error)
                else:
                    if leave is None:
                        if wait_s is not None:
                            self._timer = asyncio.get_running_loop().call_later(wait_s, self.move)
                        return
                    waiter.future.set_result(leave)
            self._waiters.popleft()
        if self._looker is not None:
            self._looker.cancel()
            self._looker = None

    def _look(self) -> None:
        """Send home whoever has been told to stop."""
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

    def _leave(self, waiter: _Waiter[Wish, Leave]) -> None:
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            # Granted and cancelled in the same breath.
            self._give_back(future.result())
        elif self._waiters and self._waiters[0] is waiter:
            self.move()
