"""What belongs to one event loop, as an SDK's connections do, kept once for each loop that is running."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerEventLoop(Generic[T]):
    """Something held open in each event loop that asks for it, from any number of loops and threads.

    It is closed by `aclose` in the loop that used it, or else when that loop ends by `asyncio.run`, which closes
    unfinished generators.

    Args:
        hold: yields it once, and closes it when closed itself.
    """

    def __init__(self, hold: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._hold = hold
        self._open: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[T, None]]] = {}
        self._lock = threading.Lock()

    async def get(self) -> T:
        """The running loop's; made on first use."""
        loop = asyncio.get_running_loop()
        if (open_here := self._open.get(loop)) is not None:
            return open_here[0]
        holder = self._hold()
        made = await anext(holder)
        with self._lock:
            for dead in [known for known in self._open if known.is_closed()]:
                del self._open[dead]
            current = self._open.setdefault(loop, (made, holder))
        if current[1] is not holder:
            await holder.aclose()
        return current[0]

    async def aclose(self) -> None:
        """Close what is open in the running loop; asked for again, it is made again."""
        with self._lock:
            mine = self._open.pop(asyncio.get_running_loop(), None)
        if mine:
            await mine[1].aclose()
