"""The labelling engine: one event loop per process, through which every paid call goes.

Shards of several Prefect tasks share its connections, its gates and its ledger. A call is looked up, reserved,
admitted, marked as started, sent, and stored whole before anybody reads it:

    ledger has it? -> budget -> project gate -> model gate -> ledger: started -> provider -> ledger: ended -> read
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from routecal.storage.ledger.records import PaidResponse
from routecal.tasks.oracle.call import Call, Fault, FaultKind, Reply
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.retry_policy import RetryPolicy, Tries
from routecal.tasks.oracle.engine.sender import Provider, Sender
from routecal.tasks.oracle.engine.stop_reasons import NotPaidYet
from routecal.tasks.oracle.model_drift import ModelDrift, check_version
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.rate_limit.project_limits import QuotaTooSmall

# Another process is asking for the same call: look again this often.
BUSY_S = 0.5

# Gets a call, its reply, and what the ledger says was paid for it in USD; None where the provider did not count.
OnReply = Callable[[Call, Reply, float | None], None]


class Engine:
    """Asks calls, each once. Made and used inside one event loop; `tasks.oracle.job_runner` runs it in a thread.

    Args:
        recorder: the way to the ledger.
        providers: by `Call.provider`; they share one project.
        pace: limits of the gates.
        rng: of back-off and jitter.

    Attributes:
        sender: has the gates.
    """

    def __init__(self, recorder: Recorder, providers: Mapping[str, Provider], pace: Pace, rng: random.Random) -> None:
        self._recorder, self._providers = recorder, providers
        self.sender, self._retries = Sender(recorder, pace, rng), RetryPolicy(pace.backoff_s, rng)
        self._purchases: dict[str, asyncio.Task[PaidResponse]] = {}
        # A refused key must cost one call, and a misspelt model one, not one per worker. Providers, and models of them.
        self._scouts: defaultdict[str | tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._proved: set[str | tuple[str, str]] = set()

    async def ask(self, job: Job, call: Call, *, anew: bool = False, on_reply: OnReply | None = None) -> Reply:
        """The reply to a call: from the ledger, else from the provider.

        Args:
            job: who pays.
            call: what is asked.
            anew: what the ledger has of it from an earlier run is of no use: ask again.
            on_reply: gets the reply first, and what was paid for it.

        Raises:
            Fault: of kind ROW, BROKEN or, after several tries, TRANSIENT: this call failed, others may not.
            ModelDrift, DayQuotaReached, BudgetReached, NoProgress, OracleRefused: the job has been stopped.
            NotPaidYet: the job takes finished calls only.
        """
        key = call.key
        while anew and (before := self._purchases.get(key)) is not None:
            await asyncio.wait([before])
        purchase = self._purchases.get(key)
        if purchase is None:
            purchase = asyncio.get_running_loop().create_task(self._purchase(job, call, key, anew))
            self._purchases[key] = purchase
            purchase.add_done_callback(lambda _: self._purchases.pop(key, None))
        # A purchase outlives whoever waits for it: it may have been paid for.
        try:
            bought = await asyncio.shield(purchase)
        except asyncio.CancelledError:
            # The job was stopped and this purchase given up; or we are cancelled ourselves.
            if purchase.cancelled():
                job.check()
            raise
        reply = read_response(call, bought.response)
        try:
            check_version(call.model, reply.model_version, job.pace.allow_versions)
        except ModelDrift as drift:
            # Where nothing is asked nothing needs to be stopped; other rows may be sound.
            if not job.pace.finished_only:
                job.stop(drift)
            raise
        is_earlier = bought.session != self._recorder.ledger.session and not job.pace.finished_only
        reply = replace(reply, earlier=is_earlier)
        if on_reply is not None:
            on_reply(call, reply, bought.usd)
        return reply

    async def forget(self, key: str, why: str) -> None:
        """Take back what was bought for a key, so that the next run asks again; what it cost stays counted."""
        ledger = self._recorder.ledger
        if (bought := await self._recorder.find(key)) is not None:
            await self._recorder.off_loop(lambda: ledger.retire(key, bought.response, FaultKind.BROKEN.value, why))

    async def drain(self, within_s: float) -> int:
        """Wait for what is in flight, then give up on the rest; how many were given up."""
        pending = set(self._purchases.values())
        if pending:
            _, pending = await asyncio.wait(pending, timeout=within_s)
        for purchase in pending:
            purchase.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return len(pending)

    async def _purchase(self, job: Job, call: Call, key: str, anew: bool) -> PaidResponse:
        """From the ledger, or sent until something comes back, by the retry table."""
        with job.stopped_by_errors(but_for=(Fault, NotPaidYet)):
            if (bought := await self._in_ledger(job, call, key, anew)) is not None:
                return bought
            provider, pace, tries = self._providers[call.provider], job.pace, Tries()
            while True:
                job.check()
                try:
                    async with self._first_alone(job, call):
                        async with self.sender.claimed(job, call, key, tries, provider.project) as request:
                            if request.is_ours:
                                request.body = await provider.send(call, tier=pace.tier, timeout_s=pace.timeout_s)
                        # None: another process has it in flight, and we sent nothing.
                        if request.bought is not None:
                            self._proved |= {call.provider, (call.provider, call.model)}
                            self._retries.succeeded(call)
                            return request.bought
                except QuotaTooSmall as small:
                    if small.what != "tpm":
                        raise
                    # A text too long for a minute's tokens is that row's trouble; the others may be shorter.
                    job.tally.retries[FaultKind.ROW.value] += 1
                    raise Fault(FaultKind.ROW, 0, str(small)) from small
                except Fault as fault:
                    await self._retries.failed(job, call, fault, tries)
                    continue
                await job.pause(BUSY_S)
                if (bought := await self._recorder.find(key)) is not None:
                    job.tally.reused += 1
                    return bought

    async def _in_ledger(self, job: Job, call: Call, key: str, anew: bool) -> PaidResponse | None:
        """What was bought before; None if there is nothing, or nothing of use, and it may be bought.

        Raises:
            NotPaidYet: it may not be bought.
        """
        if (bought := await self._recorder.find(key)) is not None:
            # What this run has bought it takes as it is.
            is_ours = bought.session == self._recorder.ledger.session
            why = None if is_ours else _useless(call, bought, anew)
            if why is None or (anew and job.pace.finished_only):
                job.tally.reused += 1
                return bought
            if not job.pace.finished_only:
                await self.forget(key, why)
                job.tally.renewed += 1
        if job.pace.finished_only:
            raise NotPaidYet(key)
        return None

    @asynccontextmanager
    async def _first_alone(self, job: Job, call: Call) -> AsyncIterator[None]:
        """Let the first call to a provider, and to each model, go alone until one has succeeded."""
        whom = (call.provider, (call.provider, call.model))
        while (unproved := next((who for who in whom if who not in self._proved), None)) is not None:
            async with self._scouts[unproved]:
                job.check()
                if unproved not in self._proved:
                    yield
                    return
        yield


def _useless(call: Call, bought: PaidResponse, anew: bool) -> str | None:
    """Why a response of an earlier run is bought again; None if it is not. Earlier versions took more for answers."""
    if anew:
        return "it gave no vote, and was asked for again"
    try:
        read_response(call, bought.response)
    except Fault as fault:
        return fault.message
    return None
