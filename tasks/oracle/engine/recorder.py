"""Many small ledger writes, few transactions: what waits is committed together, off the event loop.

A commit that reaches the disk takes milliseconds; one for each of a few hundred calls a second would be the slowest
part of labelling. Here whatever has gathered while the last commit ran goes into the next one, and every caller goes on
only when its own write is durable.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from routecal.storage.errors import StorageError
from routecal.storage.ledger import Attempt, CallEnd, CallStart, Claim, Ledger
from routecal.storage.ledger.records import PaidResponse

T = TypeVar("T")

logger = logging.getLogger(__name__)

BEAT_S = 30.0
# What else is said within this time goes into the same transaction: nothing to a call that takes a tenth of a second,
# and half the transactions.
GATHER_S = 0.003


@dataclass(slots=True)
class _Waiting:
    """What the next transaction holds, and who waits for it."""

    finds: dict[str, list[asyncio.Future[PaidResponse | None]]] = field(default_factory=dict)
    starts: list[tuple[CallStart, asyncio.Future[Claim]]] = field(default_factory=list)
    ends: list[CallEnd] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    done: list[asyncio.Future[None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.finds or self.starts or self.ends or self.attempts or self.releases)

    def fail(self, error: BaseException) -> None:
        waiters: list[asyncio.Future[Any]] = [w for found in self.finds.values() for w in found]
        for waiter in (*waiters, *(w for _, w in self.starts), *self.done):
            if not waiter.done():
                waiter.set_exception(error)


class Recorder:
    """The event loop's way into a `Ledger`. Make it, and close it, inside the loop that uses it.

    A write that fails is told to whoever waits for it; what it held of responses and attempts is tried once more by
    `close`, as the disk may have room again then, or the server be back.

    Args:
        ledger: to write into.
        on_full: called in the loop after each commit for which the disk had been full: issue no more.
    """

    def __init__(self, ledger: Ledger, on_full: Callable[[], object] = lambda: None) -> None:
        self.ledger = ledger
        self._on_full = on_full
        # Written in vain; nobody waits for it any more.
        self._failed = _Waiting()
        self._loop = asyncio.get_running_loop()
        # One thread: SQLite takes one writer anyway, and the order of writes stays the order of calls.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._waiting = _Waiting()
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks = [self._loop.create_task(self._commit()), self._loop.create_task(self._beat())]

    async def find(self, key: str) -> PaidResponse | None:
        """What was bought for a key, if it ever was."""
        waiter: asyncio.Future[PaidResponse | None] = self._loop.create_future()
        self._open().finds.setdefault(key, []).append(waiter)
        return await waiter

    async def start(self, start: CallStart) -> Claim:
        """Claim a call before it is sent; durable on return."""
        waiter: asyncio.Future[Claim] = self._loop.create_future()
        self._open().starts.append((start, waiter))
        return await waiter

    async def end(self, end: CallEnd) -> None:
        """Store a response; durable on return."""
        self._open().ends.append(end)
        await self._durable()

    async def attempt(self, attempt: Attempt, *, release: bool) -> None:
        """Store an attempt that brought nothing; with `release` the call is given up as well."""
        self.note(attempt, release=release)
        await self._durable()

    def note(self, attempt: Attempt, *, release: bool) -> None:
        """As `attempt`, without waiting: for code that is being cancelled. `close` waits for it."""
        waiting = self._open()
        waiting.attempts.append(attempt)
        if release:
            waiting.releases.append(attempt.key)

    async def release(self, key: str) -> None:
        """Give a claimed call back, unsent."""
        self._open().releases.append(key)
        await self._durable()

    async def off_loop(self, function: Callable[[], T]) -> T:
        """Run something else that reads or writes the ledger in its thread."""
        return await self._loop.run_in_executor(self._thread, function)

    async def close(self) -> None:
        """Commit what waits, then close the ledger. It is closed even where that raises."""
        self._closing = True
        self._wake.set()
        self._tasks[1].cancel()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._failed:
                await self._once_more()
        finally:
            try:
                await self.off_loop(self.ledger.close)
            finally:
                self._thread.shutdown()

    def _one_by_one(self, ends: list[CallEnd]) -> list[CallEnd]:
        """Those that cannot be stored even alone."""
        left = []
        for end in ends:
            try:
                self.ledger.write(ends=[end])
            except Exception:
                left.append(end)
        return left

    async def _once_more(self) -> None:
        try:
            await self.off_loop(lambda: self._write(self._failed))
        except Exception as error:
            n = len(self._failed.ends)
            logger.warning("responses that came but could not be stored, and may be paid again: %d (%s)", n, error)

    def _open(self) -> _Waiting:
        """What the next transaction will hold; the committing task hears of it when this turn of the loop is over."""
        if self._closing:
            raise RuntimeError("the recorder is closed")
        self._wake.set()
        return self._waiting

    async def _durable(self) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._open().done.append(waiter)
        await waiter

    async def _commit(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self._closing:
                await asyncio.sleep(GATHER_S)
            batch, self._waiting = self._waiting, _Waiting()
            try:
                found, claims = await self.off_loop(partial(self._write, batch))
            except Exception as error:
                # One text that the database refuses must not take the others' responses with it.
                if not isinstance(error, StorageError):
                    batch.ends = await self.off_loop(partial(self._one_by_one, batch.ends))
                self._failed.ends += batch.ends
                self._failed.attempts += batch.attempts
                self._failed.releases += batch.releases
                batch.fail(error)
                continue
            finally:
                if self.ledger.full:
                    self._on_full()
            _deliver(batch, found, claims)

    def _write(self, batch: _Waiting) -> tuple[dict[str, PaidResponse], dict[str, Claim]]:
        found = self.ledger.find(list(batch.finds)) if batch.finds else {}
        claims: dict[str, Claim] = {}
        if batch.starts or batch.ends or batch.attempts or batch.releases:
            claims = self.ledger.write(
                starts=[start for start, _ in batch.starts],
                ends=batch.ends,
                attempts=batch.attempts,
                releases=batch.releases,
            )
        return found, claims

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            # Whoever writes next hears of the trouble; the heart goes on.
            with contextlib.suppress(Exception):
                await self.off_loop(self.ledger.beat)


def _deliver(batch: _Waiting, found: dict[str, PaidResponse], claims: dict[str, Claim]) -> None:
    """Wake whoever waits; a waiter that was cancelled meanwhile is passed over."""
    for key, waiters in batch.finds.items():
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(found.get(key))
    for start, claimed in batch.starts:
        if not claimed.done():
            claimed.set_result(claims[start.key])
    for done in batch.done:
        if not done.done():
            done.set_result(None)
