"""Requests that are there together are decided together: one forward pass for all that came during the one before.

Nobody waits for company: a request that comes alone is decided alone, at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Overloaded(RuntimeError):
    """More requests wait than are allowed to."""


class Batcher(Generic[Item, Result]):
    """Calls a function on lists of items, in a thread of its own, one list at a time.

    A list that fails as a whole is tried item by item, so that one bad item costs the others nothing but time. An item
    whose caller gave up before its turn is left out.

    Args:
        function: gives a result for every item, in order; called in one thread only.
        begin: called in that thread once, before anything else. Threads of torch are a matter of each thread.
        at_most: items of a list.
        waiting: items that may wait; more are refused.
    """

    def __init__(
        self,
        function: Callable[[list[Item]], Sequence[Result]],
        *,
        begin: Callable[[], None] = lambda: None,
        at_most: int = 64,
        waiting: int = 1024,
    ) -> None:
        self._function, self._at_most, self._waiting = function, at_most, waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decide", initializer=begin)
        self._queue: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Result:
        """The function's result for this item.

        Raises:
            Overloaded: too many wait already.
            Exception: what the function raised for this very item.
        """
        if len(self._queue) >= self._waiting:
            raise Overloaded(f"{self._waiting} requests wait for a decision already")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    @property
    def n_waiting(self) -> int:
        """Items that no list took up yet."""
        return len(self._queue)

    def close(self) -> None:
        """End the thread once it is done with what it has."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        while self._queue:
            taken, self._queue = self._queue[: self._at_most], self._queue[self._at_most :]
            taken = [(item, future) for item, future in taken if not future.done()]
            if taken:
                await self._decide(taken)

    async def _decide(self, taken: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._function, [item for item, _ in taken])
            if len(results) != len(taken):
                raise RuntimeError(f"{len(results)} results for {len(taken)} items")
        except Exception as error:
            if len(taken) > 1:
                for one in taken:
                    if not one[1].done():
                        await self._decide([one])
                return
            with suppress(asyncio.InvalidStateError):
                taken[0][1].set_exception(error)
            return
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():
                future.set_result(result)
