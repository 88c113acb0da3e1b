"""Creating a batch job, once.

The same request twice makes, and bills, two jobs. So the intent is in the ledger before the request is sent, under a
display name that occurs once; whoever finds an intent that is still open looks for a job of that name before making
another. Requests that nothing is charged for are repeated, as rates and luck demand.
"""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from routecal.tasks.oracle.call import Call, Fault, FaultKind
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.stop_reasons import OracleRefused
from routecal.tasks.oracle.providers.batch_api import BatchApi

logger = logging.getLogger(__name__)

# Waits for a job, to be made or to be ended, grow by half each time, up to ten times the first.
SLOWER, SLOWEST = 1.5, 10


T = TypeVar("T")

# How often a request is made that failed in a way that may pass.
TRIES = 6
LONGEST_BACKOFF_S = 60.0


async def patiently(job: Job, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns, asked up to six times where the fault may pass.

    Raises:
        Fault: the last one.
        TaskError: the reason why the job was stopped meanwhile.
    """
    tries = 0
    while True:
        try:
            return await ask()
        except Fault as fault:
            tries += 1
            if fault.kind not in (FaultKind.TRANSIENT, FaultKind.RATE) or tries == TRIES:
                raise
            await pause(job, fault, tries)


async def pause(job: Job, fault: Fault, tries: int) -> None:
    """Count a fault and wait before the next try: as long as the provider says, or twice as long each time.

    Raises:
        TaskError: the reason why the job was stopped meanwhile.
    """
    await pause_for(job, fault, min(job.pace.backoff_s * 2.0**tries, LONGEST_BACKOFF_S))


async def pause_for(job: Job, fault: Fault, seconds: float) -> None:
    """Count a fault and wait so long, or longer if the provider says so.

    Raises:
        TaskError: the reason why the job was stopped meanwhile.
    """
    job.tally.retries[fault.kind.value] += 1
    await job.pause(max(fault.retry_after_s or 0.0, seconds))
    job.check()


class Made(NamedTuple):
    """A job that was just created: its display name, what the provider calls it, and the uploaded file."""

    name: str
    job_name: str
    source: str


class Maker:
    """Creates batch jobs, one at a time. Used inside the engine's event loop.

    Args:
        job: the run they are for.
        recorder: the way to the ledger.
        api: the provider's batch jobs.
    """

    def __init__(self, job: Job, recorder: Recorder, api: BatchApi) -> None:
        self._job, self._recorder, self._api = job, recorder, api
        # A refused key then costs one request.
        self._making = asyncio.Lock()

    async def make(
        self, calls: Sequence[Call], path: Path, reserved_usd: float, note: Callable[[str], object]
    ) -> Made | None:
        """Upload a file of requests and create a job from it.

        Args:
            calls: those in the file, of one model.
            path: the file.
            reserved_usd: the most they can cost.
            note: gets each display name it may have, before that is in the ledger.

        Returns:
            The job; None if the provider takes none now, which has been logged.

        Raises:
            OracleRefused: every job would be refused.
            Fault: TRANSIENT or RATE: it could not be learned whether the job was made; its intent is left open.
        """
        model, digest = calls[0].model, keys_sha256(call.key for call in calls)
        source, tries = None, 0
        while True:
            async with self._making:
                self._job.check()
                name = f"routecal-{self._job.pace.job}-{digest[:12]}-{uuid.uuid4().hex[:8]}"
                note(name)
                try:
                    source = source or await self._api.upload(path, name)
                    return Made(name, await self._create(name, source, calls, reserved_usd), source)
                except _NotMade as not_made:
                    fault = not_made.fault
                except Fault as failed:
                    if source is not None:
                        raise
                    fault = failed
                if fault.kind is FaultKind.FATAL:
                    refused = OracleRefused(model, fault.message, fault.hint)
                    # Before anybody else has a turn.
                    self._job.stop(refused)
                    raise refused from fault
            # While jobs of ours are under way, their end may make room for this one.
            if fault.kind is not FaultKind.RATE or not self._job.batches:
                tries += 1
            if fault.kind in (FaultKind.ROW, FaultKind.DAY_QUOTA) or tries == TRIES:
                break
            poll_s = self._job.pace.poll_s
            await pause_for(self._job, fault, min(poll_s * SLOWER**tries, SLOWEST * poll_s))
        logger.warning("no batch job for %d calls to %s, which go online: %s", len(calls), model, fault)
        if source is not None:
            await self._api.delete(source)
        return None

    async def find_created(self, name: str) -> str | None:
        """What the provider calls the job of that display name, if it was made although no reply said so.

        Raises:
            Fault: it could not be asked.
        """
        if job_name := await patiently(self._job, lambda: self._api.find(name)):
            return job_name
        # It may not be in the list yet, or another process may just be making it.
        await self._job.pause(self._job.pace.poll_s)
        self._job.check()
        return await patiently(self._job, lambda: self._api.find(name))

    async def created(self, name: str, job_name: str) -> None:
        """Have the ledger know that the job exists."""
        self._job.batches[name] = "PENDING", datetime.now(UTC)
        await self._recorder.off_loop(lambda: self._recorder.ledger.batch_created(name, job_name))

    async def end(self, name: str, state: str) -> None:
        """Have the ledger know that no more is to be expected of the job."""
        self._job.batches.pop(name, None)
        await self._recorder.off_loop(lambda: self._recorder.ledger.end_batch(name, state))

    async def _create(self, name: str, source: str, calls: Sequence[Call], reserved_usd: float) -> str:
        """Create a job and return what the provider calls it; raises _NotMade where there surely is none."""
        ledger, first = self._recorder.ledger, calls[0]
        facts = {"provider": first.provider, "model": first.model, "job": self._job.pace.job}
        digest = keys_sha256(call.key for call in calls)
        await self._recorder.off_loop(
            lambda: ledger.intend_batch(name, **facts, keys_sha256=digest, n=len(calls), reserved_usd=reserved_usd)
        )
        try:
            job_name = await self._api.create(first.model, source, name)
        except Fault as fault:
            # Refused, or no reply came: a server that fails, or a line that breaks, may have made it all the same.
            existing = await self.find_created(name) if fault.kind is FaultKind.TRANSIENT else None
            if existing is None:
                await self.end(name, "never created")
                raise _NotMade(fault) from fault
            job_name = existing
        await self.created(name, job_name)
        return job_name


class _NotMade(Exception):
    """There is no job, for this reason."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def keys_sha256(keys: Iterable[str]) -> str:
    """Digest of keys, whatever their order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()
