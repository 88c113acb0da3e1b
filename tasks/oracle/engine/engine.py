"""The labelling engine: one event loop per process, through which every paid call goes.

Shards of several Prefect tasks share its connections, its gates and its ledger. A call is looked up, reserved,
admitted, marked as started, sent, and stored whole before anybody reads it:

    ledger has it? -> budget -> project gate -> model gate -> ledger: started -> provider -> ledger: ended -> read
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from routecal.storage.ledger.records import PaidResponse
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.call_faults import Fault, FaultKind
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.sender import Provider, Sender
from routecal.tasks.oracle.engine.stop_reasons import BrokenReplies, NoAnswers, NoCompletion, NotPaidYet, OracleRefused
from routecal.tasks.oracle.model_drift import ModelDrift, check_version
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.project_limits import QuotaTooSmall

logger = logging.getLogger(__name__)

ATTEMPTS = 6
# A reply that is no answer may be one the next time; it is paid for, too.
AGAIN_IF_BROKEN = 1
# So many calls to a model that failed for good, without one success in between, are no coincidence.
FAILURES_IN_A_ROW = 20
LONGEST_BACKOFF_S = 60.0
# Another process is asking for the same call: look again this often.
BUSY_S = 0.5


class Answered(NamedTuple):
    """A reply and what the ledger says was paid for it; None where the provider did not count."""

    reply: Reply
    usd: float | None


class Engine:
    """Asks calls, each once. Made and used inside one event loop; `tasks.oracle.job_runner` runs it in a thread.

    Args:
        recorder: the way to the ledger.
        providers: by `Call.provider`.
        pace: limits of the gates.
        rng: of back-off and jitter.
    """

    def __init__(self, recorder: Recorder, providers: Mapping[str, Provider], pace: Pace, rng: random.Random) -> None:
        self._recorder, self._pace, self._rng = recorder, pace, rng
        self._sender = Sender(recorder, providers, pace, rng)
        self._purchases: dict[str, asyncio.Task[PaidResponse]] = {}
        # A refused key must cost one call, and a misspelt model one, not one per worker. Providers, and models of them.
        self._scouts: defaultdict[str | tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._proved: set[str | tuple[str, str]] = set()
        # (provider, model) -> calls that failed for good since the last that did not.
        self._failures: dict[tuple[str, str], int] = {}

    async def ask(self, job: Job, call: Call, *, anew: bool = False) -> Answered:
        """The reply to a call: from the ledger, else from the provider.

        Args:
            job: who pays.
            call: what is asked.
            anew: what the ledger has of it from an earlier run is of no use: ask again.

        Raises:
            Fault: of kind ROW, BROKEN or, after several tries, TRANSIENT: this call failed, others may not.
            ModelDrift, DayQuotaReached, BudgetReached, NoProgress, OracleRefused: the job has been stopped.
            NotBought: the job takes finished calls only.
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
        return Answered(replace(reply, earlier=is_earlier), bought.usd)

    async def forget(self, key: str, why: str) -> None:
        """Take back what was bought for a key, so that the next run asks again; what it cost stays counted."""
        if (bought := await self._recorder.find(key)) is not None:
            await self._retire(key, bought, why)

    async def drain(self, within_s: float) -> int:
        """Wait for what is in flight, then give up on the rest; how many were given up."""
        pending = set(self._purchases.values())
        if pending:
            _, pending = await asyncio.wait(pending, timeout=within_s)
        for purchase in pending:
            purchase.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return len(pending)

    @property
    def gates(self) -> Mapping[str, RateLimiter]:
        """The gates by model; the project's own, if there is one, under ''."""
        return self._sender.gates

    def share(self, share: float) -> None:
        """Use this part of every quota: others run beside us."""
        self._sender.share(share)

    async def _purchase(self, job: Job, call: Call, key: str, anew: bool) -> PaidResponse:
        try:
            if (bought := await self._recorder.find(key)) is not None:
                # What this run has bought it takes as it is.
                is_ours = bought.session == self._recorder.ledger.session
                why = None if is_ours else _useless(call, bought, anew)
                if why is None or (anew and job.pace.finished_only):
                    job.tally.reused += 1
                    return bought
                if not job.pace.finished_only:
                    await self._retire(key, bought, why)
                    job.tally.renewed += 1
            if job.pace.finished_only:
                raise NotPaidYet(key)
            return await self._buy(job, call, key)
        except (Fault, NotPaidYet):
            raise
        except Exception as error:
            # Whatever else went wrong would go wrong again: no money, no quota, no disk, or a fault of ours.
            job.stop(error)
            raise

    async def _retire(self, key: str, bought: PaidResponse, why: str) -> None:
        ledger = self._recorder.ledger
        await self._recorder.off_loop(lambda: ledger.retire(key, bought.response, FaultKind.BROKEN.value, why))

    async def _buy(self, job: Job, call: Call, key: str) -> PaidResponse:
        """Send until something came back, by the retry table."""
        tries = broken = 0
        while True:
            job.check()
            try:
                bought = await self._send_proved(job, call, key, tries + broken)
            except QuotaTooSmall as small:
                if small.what != "tpm":
                    raise
                # A text too long for a minute's tokens is that row's trouble; the others may be shorter.
                job.tally.retries[FaultKind.ROW.value] += 1
                raise Fault(FaultKind.ROW, 0, str(small)) from small
            except Fault as fault:
                job.tally.retries[fault.kind.value] += 1
                if fault.kind is FaultKind.FATAL:
                    stop = NoCompletion if fault.code == 200 else OracleRefused
                    raise stop(call.model, fault.message, fault.hint) from fault
                if fault.kind is FaultKind.ROW:
                    self._failed_in_a_row(job, call, fault)
                    raise
                if fault.kind is FaultKind.BROKEN:
                    broken += 1
                    if broken > AGAIN_IF_BROKEN:
                        self._failed_in_a_row(job, call, fault)
                        raise
                    await job.pause(self._backoff_s(broken))
                # The gate has taken note of rates and quotas; they are nobody's fault and cost no try.
                if fault.kind is FaultKind.TRANSIENT:
                    tries += 1
                    if tries >= ATTEMPTS:
                        self._failed_in_a_row(job, call, fault)
                        raise
                    await job.pause(self._backoff_s(tries))
                continue
            if bought is not None:
                self._failures.pop((call.provider, call.model), None)
                return bought
            await job.pause(BUSY_S)
            if (bought := await self._recorder.find(key)) is not None:
                job.tally.reused += 1
                return bought

    def _failed_in_a_row(self, job: Job, call: Call, fault: Fault) -> None:
        """Stop where a model fails for call after call, each as if it were that row's own trouble.

        Raises:
            OracleRefused: it takes none of our requests, so something is wrong with all of them.
            BrokenReplies: what it sends is no answer.
            NoAnswers: nothing came back from it, so it is down, or the way to it is.
        """
        who = (call.provider, call.model)
        self._failures[who] = self._failures.get(who, 0) + 1
        if self._failures[who] < FAILURES_IN_A_ROW:
            return
        if fault.kind is FaultKind.ROW:
            said = f"so it was for {FAILURES_IN_A_ROW} requests in a row"
            if call.config.get("schema"):
                said += "; if the server knows no JSON schema, give --judge-json object, or --judge-json prompt"
            raise OracleRefused(call.model, fault.message, said)
        if fault.kind is FaultKind.BROKEN:
            raise BrokenReplies(call.model, FAILURES_IN_A_ROW, fault.message, fault.hint)
        raise NoAnswers(call.model, FAILURES_IN_A_ROW, str(fault))

    async def _send_proved(self, job: Job, call: Call, key: str, tries: int) -> PaidResponse | None:
        """As `Sender.send`; the first call to a provider, and to each model, goes alone until it has succeeded."""
        model = (call.provider, call.model)
        while (unproved := next((who for who in (call.provider, model) if who not in self._proved), None)) is not None:
            async with self._scouts[unproved]:
                job.check()
                if unproved in self._proved:
                    continue
                bought = await self._sender.send(job, call, key, tries)
                # None: another process has it in flight, and we sent nothing.
                if bought is not None:
                    self._proved |= {call.provider, model}
                return bought
        return await self._sender.send(job, call, key, tries)

    def _backoff_s(self, tries: int) -> float:
        """Full jitter: anything up to the doubled wait, so that calls that failed together do not return together."""
        return self._rng.uniform(0.0, min(LONGEST_BACKOFF_S, self._pace.backoff_s * 2.0**tries))


def _useless(call: Call, bought: PaidResponse, anew: bool) -> str | None:
    """Why a response of an earlier run is bought again; None if it is not. Earlier versions took more for answers."""
    if anew:
        return "it gave no vote, and was asked for again"
    try:
        read_response(call, bought.response)
    except Fault as fault:
        return fault.message
    return None
