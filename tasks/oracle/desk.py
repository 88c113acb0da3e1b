"""The engine's thread: one event loop per process, however many flows and shards want something labelled.

Prefect runs tasks in threads and every library's connections belong to one event loop; so the loop has a thread of its
own here, and shards hand it their rows and wait.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from storage.ledger import Ledger
from tasks.oracle.budget import Budget
from tasks.oracle.engine import Engine
from tasks.oracle.job import Job
from tasks.oracle.money import Prices
from tasks.oracle.pace import Pace
from tasks.oracle.recorder import Recorder
from tasks.oracle.sender import Provider

T = TypeVar("T")

_open: dict[str, "Desk"] = {}
_lock = threading.Lock()


class Desk:
    """A job with the engine that serves it, callable from any thread.

    Args:
        pace: how to ask.
        providers: makes them, inside the loop that will use them.
        rows: how many the job has.
    """

    def __init__(self, pace: Pace, providers: Callable[[], list[Provider]], rows: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._held = 0.0
        self._thread = threading.Thread(target=self._loop.run_forever, name="oracle", daemon=True)
        self._thread.start()
        try:
            ledger = Ledger.open()
            spent = ledger.spent(pace.job)
            budget = Budget(pace.max_usd, spent.usd + spent.maybe_usd)
            self.job = Job(pace, Prices.load(pace.prices), budget, rows)
            self._providers: list[Provider] = []
            self.engine, self._recorder = self.run(self._begin(ledger, providers, pace))
        except BaseException:
            self._end_thread()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the engine's loop and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self, reason: Exception) -> None:
        """Send nothing more; shards end when what is in flight is stored. From any thread or signal handler."""
        self._loop.call_soon_threadsafe(self._stop, reason)

    def hold(self, part: float) -> None:
        """Take (or, negative, give back) a part of every quota; a desk that never took any has all of it."""
        with _lock:
            self._held += part
            share = min(max(self._held, 0.0), 1.0)
        if share > 0:
            self._loop.call_soon_threadsafe(self.engine.share, share)

    def close(self) -> None:
        """Wait for what is in flight, store it, and end the loop."""
        try:
            self.run(self._finish())
        finally:
            self._end_thread()

    def _stop(self, reason: Exception) -> None:
        self.job.stop(reason)
        self._draining = self._loop.create_task(self.engine.drain(self.job.pace.drain_s))

    async def _begin(
        self, ledger: Ledger, providers: Callable[[], list[Provider]], pace: Pace
    ) -> tuple[Engine, Recorder]:
        self._providers = providers()
        recorder = Recorder(ledger)
        by_name = {provider.name: provider for provider in self._providers}
        return Engine(recorder, by_name, pace, random.Random(pace.run or None)), recorder

    async def _finish(self) -> None:
        await self.engine.drain(self.job.pace.drain_s)
        await self._recorder.close()
        for provider in self._providers:
            await provider.aclose()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def desk_for(pace: Pace, providers: Callable[[], list[Provider]], rows: int) -> Iterator[Desk]:
    """The desk of a job for as long as the block runs; tasks of other threads find it by `open_desk`."""
    with _lock:
        if pace.job in _open:
            raise RuntimeError(f"the job {pace.job} is open in this process already")
        desk = _open[pace.job] = Desk(pace, providers, rows)
    try:
        yield desk
    finally:
        with _lock:
            del _open[pace.job]
        desk.close()


def open_desk(job: str) -> Desk:
    """The desk that a flow of this process opened for a job."""
    return _open[job]
