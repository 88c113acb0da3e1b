"""Many small ledger writes, few transactions: what waits is committed together, off the event loop.

A commit that reaches the disk takes milliseconds; one for each of a few hundred calls a second would be the slowest
part of labelling. Here whatever has gathered while the last commit ran goes into the next one, and every caller goes on
only when its own write is durable.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from routecal.storage.errors import StorageError
from routecal.storage.ledger import Attempt, CallEnd, CallStart, Claim, Ledger
from routecal.storage.ledger.records import PaidResponse

T = TypeVar("T")

Kind = Literal["find", "start", "end", "attempt", "release"]

logger = logging.getLogger(__name__)

BEAT_S = 30.0
# What else is said within this time goes into the same transaction: nothing to a call that takes a tenth of a second,
# and half the transactions.
GATHER_S = 0.003


class _Entry(NamedTuple):
    """Something for the next transaction, and who waits for it."""

    kind: Kind
    item: Any
    waiter: asyncio.Future[Any] | None


class Recorder:
    """The event loop's way into a `Ledger`. Make it, and close it, inside the loop that uses it.

    A write that fails is raised to whoever waits for it; what it held of responses and attempts is tried once more by
    `close`, as the disk may have room again then, or the server be back.

    Args:
        ledger: to write into.
        on_full: called in the loop after each commit for which the disk had been full: issue no more.
    """

    def __init__(self, ledger: Ledger, on_full: Callable[[], object] = lambda: None) -> None:
        self.ledger = ledger
        self._on_full = on_full
        # Written in vain; nobody waits for it any more.
        self._failed: list[_Entry] = []
        self._loop = asyncio.get_running_loop()
        # One thread: SQLite takes one writer anyway, and the order of writes stays the order of calls.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._waiting: list[_Entry] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks = [self._loop.create_task(self._commit()), self._loop.create_task(self._beat())]

    async def find(self, key: str) -> PaidResponse | None:
        """What was bought for a key, if it ever was."""
        bought: PaidResponse | None = await self._put("find", key)
        return bought

    async def start(self, start: CallStart) -> Claim:
        """Claim a call before it is sent; durable on return."""
        claim: Claim = await self._put("start", start)
        return claim

    async def end(self, end: CallEnd) -> None:
        """Store a response; durable on return."""
        await self._put("end", end)

    async def attempt(self, attempt: Attempt, *, release: bool) -> None:
        """Store an attempt that brought nothing; with `release` the call is given up as well."""
        written = self._put("attempt", attempt)
        if release:
            self._add(_Entry("release", attempt.key, None))
        await written

    def note(self, attempt: Attempt) -> None:
        """Store an attempt and give the call up, without waiting: for code that is cancelled. `close` waits for it."""
        self._add(_Entry("attempt", attempt, None))
        self._add(_Entry("release", attempt.key, None))

    async def release(self, key: str) -> None:
        """Give a claimed call back, unsent."""
        await self._put("release", key)

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

    def _put(self, kind: Kind, item: object) -> asyncio.Future[Any]:
        """Have something in the next transaction; the result comes when that is durable."""
        waiter: asyncio.Future[Any] = self._loop.create_future()
        self._add(_Entry(kind, item, waiter))
        return waiter

    def _add(self, entry: _Entry) -> None:
        if self._closing:
            raise RuntimeError("the recorder is closed")
        self._waiting.append(entry)
        # The committing task hears of it when this turn of the loop is over.
        self._wake.set()

    async def _commit(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self._closing:
                await asyncio.sleep(GATHER_S)
            batch, self._waiting = self._waiting, []
            # Those who were cancelled meanwhile are passed over.
            waiting = [(kind, item, waiter) for kind, item, waiter in batch if waiter is not None]
            try:
                found, claims = await self.off_loop(partial(self._write, batch))
            except Exception as error:
                # One text that the database refuses must not take the others' responses with it.
                if not isinstance(error, StorageError):
                    batch = await self.off_loop(partial(self._without_stored, batch))
                self._failed += [entry for entry in batch if entry.kind in ("end", "attempt", "release")]
                for _, _, waiter in waiting:
                    if not waiter.done():
                        waiter.set_exception(error)
                continue
            finally:
                if self.ledger.full:
                    self._on_full()
            for kind, item, waiter in waiting:
                if not waiter.done():
                    of_start = claims[item.key] if kind == "start" else None
                    waiter.set_result(found.get(item) if kind == "find" else of_start)

    def _write(self, batch: Sequence[_Entry]) -> tuple[dict[str, PaidResponse], dict[str, Claim]]:
        items: dict[str, list[Any]] = {"find": [], "start": [], "end": [], "attempt": [], "release": []}
        for kind, item, _ in batch:
            items[kind].append(item)
        keys, starts, ends, attempts, releases = items.values()
        found = self.ledger.find(list(dict.fromkeys(keys))) if keys else {}
        is_write = len(keys) < len(batch)
        claims = self.ledger.write(starts=starts, ends=ends, attempts=attempts, releases=releases) if is_write else {}
        return found, claims

    def _without_stored(self, batch: Sequence[_Entry]) -> list[_Entry]:
        """Store the responses one by one; what is left are those that cannot be stored even alone, and all else."""
        left = []
        for entry in batch:
            try:
                if entry.kind == "end":
                    self.ledger.write(ends=[entry.item])
                    continue
            except Exception:
                pass
            left.append(entry)
        return left

    async def _once_more(self) -> None:
        try:
            await self.off_loop(lambda: self._write(self._failed))
        except Exception as error:
            n = sum(entry.kind == "end" for entry in self._failed)
            logger.warning("responses that came but could not be stored, and may be paid again: %d (%s)", n, error)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            # Whoever writes next hears of the trouble; the heart goes on.
            with contextlib.suppress(Exception):
                await self.off_loop(self.ledger.beat)
