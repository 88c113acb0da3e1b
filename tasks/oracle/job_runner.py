"""The engine's thread: one event loop per process, however many flows and shards want something labelled.

Prefect runs tasks in threads and every library's connections belong to one event loop; so the loop has a thread of its
own here, and shards hand it their rows and wait. Ctrl-C, SIGTERM and Prefect's cancel end it in order: nothing more is
sent, what is in flight is stored, then the process ends as the signal wanted.
"""

import asyncio
import logging
import random
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import pyarrow as pa

from routecal.storage.ledger import Batch, Ledger
from routecal.storage.ledger.ledger_errors import LedgerFull
from routecal.tasks.oracle.batch.prefetch import ProbeRow, prefetch_for
from routecal.tasks.oracle.engine.engine import Engine
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.sender import Provider
from routecal.tasks.oracle.engine.stop_reasons import Interrupted, ShardIncomplete
from routecal.tasks.oracle.first_replies import FirstReplies
from routecal.tasks.oracle.money.budget import Budget
from routecal.tasks.oracle.money.pricing import Prices

T = TypeVar("T")

logger = logging.getLogger(__name__)

_open: dict[str, "JobRunner"] = {}
_lock = threading.Lock()


class JobRunner:
    """A job with the engine that serves it, callable from any thread.

    Args:
        pace: how to ask.
        providers: makes them, inside the loop that will use them.
        rows: how many the job has.

    Attributes:
        job: the run.
        engine: what asks.
        firsts: what the models brought first.
        loop: of the engine's thread, which coroutines are handed to.
    """

    def __init__(self, pace: Pace, providers: Callable[[], list[Provider]], rows: int) -> None:
        self._held, self._drain_s = 0.0, pace.drain_s
        self._drains: set[asyncio.Task[int]] = set()
        self._providers: list[Provider] = []
        self.firsts = FirstReplies()
        prices = Prices.load(pace.prices)
        ledger = Ledger.open(on_wait=logger.warning)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="oracle", daemon=True)
        self._thread.start()
        try:
            if pace.max_usd is not None and not pace.finished_only:
                ledger.hold_job(pace.job)
            spent = ledger.spent(pace.job)
            left = [] if pace.finished_only else ledger.open_batches(pace.job)
            self.job = Job(
                pace, prices, Budget(pace.max_usd, spent.usd + spent.maybe_usd + _given_up(left, pace)), rows
            )
            self._announced = 0 if pace.finished_only else ledger.abandoned(pace.job)
            _announce(self._announced)
            self.engine, self._recorder = self.run(self._begin(ledger, providers, pace))
            self._prefetch = prefetch_for(self.job, self._recorder, self._providers, left)
        except BaseException:
            self._end_thread()
            ledger.close()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the engine's loop and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def prefetch(self, rows: pa.Table, probe: ProbeRow) -> None:
        """With the batch backend, have the ledger filled for some rows, as `Prefetch.fill`; else do nothing."""
        if self._prefetch is None:
            return
        with self.job.stopped_by_errors(but_for=(ShardIncomplete,)):
            await self._prefetch.fill(rows, probe)

    def stop(self, reason: Exception, *, within_s: float | None = None) -> None:
        """Send nothing more; shards end when what is in flight is stored. From any thread or signal handler.

        Args:
            reason: why; the first one stays.
            within_s: how long to wait for what is in flight; None takes the job's own patience.
        """
        self.loop.call_soon_threadsafe(self._stop, reason, within_s)

    def hold(self, part: float) -> None:
        """Take (or, negative, give back) a part of every quota; a runner that never took any has all of it."""
        self.loop.call_soon_threadsafe(self._hold, part)

    def close(self) -> None:
        """Wait for what is in flight, store it, and end the loop."""
        try:
            self.run(self._finish())
        finally:
            self._end_thread()

    def _hold(self, part: float) -> None:
        # Parts are small fractions; what rounding leaves of them is nothing.
        self._held = round(self._held + part, 9)
        if self._held > 0:
            self.engine.sender.share(min(self._held, 1.0))

    def _stop(self, reason: Exception, within_s: float | None) -> None:
        self.job.stop(reason)
        if within_s is not None:
            self._drain_s = within_s
        drain = self.loop.create_task(self.engine.drain(self._drain_s))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)

    async def _begin(
        self, ledger: Ledger, providers: Callable[[], list[Provider]], pace: Pace
    ) -> tuple[Engine, Recorder]:
        self._providers = providers()
        recorder = Recorder(ledger, on_full=lambda: self.job.stop(LedgerFull(ledger.name)))
        by_name = {provider.name: provider for provider in self._providers}
        return Engine(recorder, by_name, pace, random.Random(pace.run or None)), recorder

    async def _finish(self) -> None:
        try:
            await asyncio.gather(self.engine.drain(self._drain_s), *self._drains)
            _announce(self.job.tally.taken_over - self._announced)
            if self._prefetch is not None:
                await self._prefetch.aclose()
        finally:
            try:
                await self._recorder.close()
            finally:
                for provider in self._providers:
                    await provider.aclose()

    def _end_thread(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def job_runner(pace: Pace, providers: Callable[[], list[Provider]], rows: int) -> Iterator[JobRunner]:
    """The runner of a job for as long as the block runs; tasks of other threads find it by `runner_of`."""
    with _lock:
        if pace.job in _open:
            raise RuntimeError(f"the job {pace.job} is open in this process already")
        runner = _open[pace.job] = JobRunner(pace, providers, rows)
    try:
        yield runner
    except BaseException as error:
        # Shards may still be at it in other threads.
        runner.stop(Interrupted(type(error).__name__))
        raise
    finally:
        with _lock:
            del _open[pace.job]
        runner.close()


def runner_of(job: str) -> JobRunner:
    """The runner that a flow of this process opened for a job."""
    return _open[job]


def _given_up(left: list[Batch], pace: Pace) -> float:
    """What batch jobs can cost at most that this run will not take up, in USD: it counts as spent."""
    if not left or pace.backend == "batch":
        return 0.0
    logger.warning(
        "%d batch jobs for these very rows are under way; what they answer is paid for twice unless a run with "
        "--backend batch takes it up first",
        len(left),
    )
    return sum(batch.reserved_usd for batch in left)


def _announce(n: int) -> None:
    if n > 0:
        logger.warning(
            "%d calls were in flight when an earlier process died; they are asked again, and may be billed twice", n
        )


@contextmanager
def stopping_on_signal(runner: JobRunner) -> Iterator[None]:
    """Let the first signal stop the runner, the second give up what is in flight, and the third act as it would have.

    When the block has ended, what the first signal would have done is done: Prefect's own handler of SIGTERM reports
    a cancelled run, for one. Ctrl-C ends in `Interrupted`, which the block raises by itself.

    Only a process's main thread can handle signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        said = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        if len(received) == 1:
            logger.warning("%s: storing the calls in flight, then ending; again to end at once", said)
            runner.stop(Interrupted(said))
            return
        # Now whoever sits in the way of the end, a locked ledger for one, is cut short by the next signal.
        for which, handler in before.items():
            signal.signal(which, handler)
        logger.warning("%s: giving up the calls in flight; they may be billed, and are asked again", said)
        runner.stop(Interrupted(said), within_s=0.0)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        handler = before[signal.SIGTERM]
        if signal.SIGTERM in received and callable(handler):
            logger.warning("%s", Interrupted("SIGTERM"))
            handler(signal.SIGTERM, None)
