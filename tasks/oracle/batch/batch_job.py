"""One batch job, from calls to responses in the ledger.

A job in flight outlives us: a run that is stopped leaves it open, and the next one takes it up.

    budget -> upload -> ledger: intended -> create -> ledger: created -> poll -> download -> ledger: every line -> ended
"""

import asyncio
import logging
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from routecal.storage.ledger import Attempt, Batch
from routecal.tasks.oracle.batch.create_job import SLOWER, SLOWEST, Made, Maker, patiently
from routecal.tasks.oracle.batch.job_files import write_lines
from routecal.tasks.oracle.batch.store_results import ResultStore
from routecal.tasks.oracle.call import Call, Fault, FaultKind
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.stop_reasons import OracleRefused
from routecal.tasks.oracle.money.budget import BudgetReached, Hold
from routecal.tasks.oracle.providers.batch_api import ENDS, BatchApi, Seen

logger = logging.getLogger(__name__)

# A job that we cancelled is looked at so often until it has ended; then it is given up.
LAST_LOOKS = 5


class Under(NamedTuple):
    """A job under way.

    Attributes:
        name: the display name, which the ledger knows it by.
        job_name: what the provider calls it.
        model: that answers.
        n: calls in it.
        reserved_usd: the most it can cost.
        since: when it was intended.
        hold: of the budget.
    """

    name: str
    job_name: str
    model: str
    n: int
    reserved_usd: float
    since: datetime
    hold: Hold


class Batches:
    """Makes and follows the batch jobs of one labelling run. Used inside the engine's event loop.

    Args:
        job: the run.
        recorder: the way to the ledger.
        api: the provider's batch jobs.

    Attributes:
        followed: display names of the jobs that this run is making or following.
    """

    def __init__(self, job: Job, recorder: Recorder, api: BatchApi) -> None:
        self.followed: set[str] = set()
        self._job, self._recorder, self._api = job, recorder, api
        self._maker = Maker(job, recorder, api)

    async def buy(self, calls: Sequence[Call]) -> int:
        """Have the first of some calls, all of one model, answered: as many as budget and file have room for.

        Returns:
            How many were tried; 0 if the budget has no room, or the provider takes no job now. What became of them is
            in the ledger; those that it has no response of may be asked online.

        Raises:
            OracleRefused: every job would be refused.
            Fault: TRANSIENT or RATE: the provider could not be asked what became of a job, which is left open.
            TaskError: the reason why the job was stopped.
        """
        while True:
            try:
                hold = await self._job.budget.enter(self._worst_usd(calls))
                break
            except BudgetReached:
                # Most calls cost far less than is held for them: what is left over goes into the next job.
                calls = calls[: len(calls) // 2]
                if not calls:
                    return 0
        try:
            with tempfile.TemporaryDirectory(prefix="routecal-") as folder:
                path = Path(folder) / "requests.jsonl"
                # A thread cannot be cancelled, but a stopped run has no more calls for it.
                wanted = takewhile(lambda _: self._job.reason is None, calls)
                calls = calls[: await asyncio.to_thread(write_lines, wanted, path)]
                self._job.check()
                return len(calls) if calls and await self._made(calls, path, hold) else 0
        finally:
            self._job.budget.release(hold)

    async def take_up(self, batch: Batch, hold: Hold) -> None:
        """Follow a job that another run has begun, if it ever came to be.

        Raises:
            OracleRefused, Fault, TaskError: as `buy`.
        """
        self.followed.add(batch.name)
        try:
            name = batch.job_name or await self._maker.find_created(batch.name)
            if name is None:
                await self._maker.end(batch.name, "never created")
                return
            if batch.job_name is None:
                await self._maker.created(batch.name, name)
            logger.info("taking up the batch job %s (%d calls to %s)", name, batch.n, batch.model)
            since = datetime.fromisoformat(batch.created_at)
            await self._follow(Under(batch.name, name, batch.model, batch.n, batch.reserved_usd, since, hold))
        finally:
            self.followed.discard(batch.name)
            self._job.budget.release(hold)

    async def _made(self, calls: Sequence[Call], path: Path, hold: Hold) -> Made | None:
        """Make a job and see it through; None if there is none."""
        names: list[str] = []

        def note(name: str) -> None:
            names.append(name)
            self.followed.add(name)

        try:
            worst_usd = self._worst_usd(calls)
            made = await self._maker.make(calls, path, worst_usd, note)
            if made is not None:
                since = datetime.now(UTC)
                under = Under(made.name, made.job_name, calls[0].model, len(calls), worst_usd, since, hold)
                await self._follow(under)
                await self._api.delete(made.source)
            return made
        finally:
            self.followed.difference_update(names)

    async def _follow(self, under: Under) -> None:
        """Wait for the end of a job and store what it brought; the budget learns what that cost."""
        seen = await self._ended(under)
        if seen is None:
            await self._lost(under, "it is gone, or does not end")
        elif seen.results is not None:
            await self._store_results(under, seen)
        else:
            why = f" ({await self._api.why(under.job_name)})" if seen.state == "FAILED" else ""
            said = "batch job %s is %s%s and brought nothing; its %d calls go online"
            logger.warning(said, under.job_name, seen.state, why, under.n)
            self._job.budget.settle(under.hold, 0.0)
            await self._maker.end(under.name, seen.state)

    async def _ended(self, under: Under) -> Seen | None:
        """The job at its end; None if there is no such job, or no end to it."""
        pace, job = self._job.pace, self._job
        wait_s, looks = pace.poll_s, 0
        deadline = under.since + timedelta(hours=pace.batch_deadline_h)
        while True:
            try:
                seen = await patiently(job, lambda: self._api.see(under.job_name))
            except Fault as fault:
                if fault.code == 404:
                    return None
                if fault.kind is FaultKind.FATAL:
                    raise OracleRefused(under.model, fault.message, fault.hint) from fault
                seen = Seen("UNKNOWN", None)
            if seen.state in ENDS:
                return seen
            job.batches[under.name] = seen.state, under.since
            left_s = (deadline - datetime.now(UTC)).total_seconds()
            if left_s <= 0:
                if looks == LAST_LOOKS:
                    return None
                looks += 1
                await self._cancel(under.job_name)
                left_s = wait_s = pace.poll_s
            await job.pause(min(wait_s, left_s))
            job.check()
            wait_s = min(wait_s * SLOWER, SLOWEST * pace.poll_s)

    async def _store_results(self, under: Under, seen: Seen) -> None:
        """Store every line of the results; then nothing of the job is needed any more."""
        results = str(seen.results)
        with tempfile.TemporaryDirectory(prefix="routecal-") as folder:
            path = Path(folder) / "results.jsonl"
            try:
                await patiently(self._job, lambda: self._api.download(results, path))
            except Fault as fault:
                # Refused for good: too old, or deleted by another run that has stored them.
                if fault.kind in (FaultKind.FATAL, FaultKind.ROW):
                    return await self._lost(under, f"its results cannot be had: {fault.message}")
                raise
            stored = ResultStore(
                self._job, self._recorder, under.model, under.reserved_usd / max(under.n, 1), self._api
            )
            await stored.store(path, under.name)
        self._job.budget.settle(under.hold, stored.usd)
        await self._maker.end(under.name, seen.state)
        logger.info("batch job %s is %s: %s", under.job_name, seen.state, stored)
        await self._api.delete(results)

    async def _lost(self, under: Under, why: str) -> None:
        """Count a job whose results nobody can have as paid for."""
        logger.warning("batch job %s is lost, %s; its calls go online, and may be paid twice", under.job_name, why)
        facts = (under.name, self._job.pace.job, "batch", under.model, "lost", None, why, None, under.reserved_usd)
        await self._recorder.attempt(Attempt(*facts), release=False)
        self._job.budget.settle(under.hold, None)
        await self._maker.end(under.name, "LOST")

    async def _cancel(self, name: str) -> None:
        logger.warning("batch job %s is late, and cancelled; what it has not answered goes online", name)
        try:
            await self._api.cancel(name)
        except Fault as fault:
            logger.warning("batch job %s could not be cancelled: %s", name, fault)

    def _worst_usd(self, calls: Iterable[Call]) -> float:
        now, prices = datetime.now(UTC), self._job.prices
        return sum(prices.worst_usd(call, tier="batch", at=now) for call in calls)
