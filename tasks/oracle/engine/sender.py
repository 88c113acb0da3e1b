"""One request on its way: reserved, admitted, marked as started, sent, and stored whole."""

import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from routecal.storage.ledger import Attempt, CallEnd, CallStart
from routecal.storage.ledger.records import PaidResponse
from routecal.tasks.oracle.call import UNCOUNTED, Call, Fault, FaultKind
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.retry_policy import Tries
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.providers.usage import usage_of
from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.permit import Permit
from routecal.tasks.oracle.rate_limit.project_limits import Limits

logger = logging.getLogger(__name__)


class Provider(Protocol):
    """What sends calls of one provider."""

    name: str
    project: str

    async def send(self, call: Call, *, tier: str, timeout_s: float) -> str:
        """The raw response, one whole JSON object; raises `Fault`."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(slots=True)
class Request:
    """One request of a call.

    Attributes:
        is_ours: whether it is to be sent; else another process has the call in flight, or has ended it.
        body: of the response, set by whoever sends it.
        bought: what the ledger has in the end; None while it has nothing.
    """

    is_ours: bool
    body: str | None = None
    bought: PaidResponse | None = None


class Sender:
    """Sees the requests of one run through budget, gates and ledger. Used inside one event loop.

    Args:
        recorder: the way to the ledger.
        pace: limits of the gates.
        rng: of jitter.
    """

    def __init__(self, recorder: Recorder, pace: Pace, rng: random.Random) -> None:
        # By model; the project's own, if there is one, under ''.
        self.gates: dict[str, RateLimiter] = {}
        self._recorder, self._pace, self._rng = recorder, pace, rng
        self._share = 1.0

    def share(self, share: float) -> None:
        """Use this part of every quota, in (0, 1]."""
        self._share = share
        for gate in self.gates.values():
            gate.share = share

    @asynccontextmanager
    async def claimed(self, job: Job, call: Call, key: str, tries: Tries, project: str) -> AsyncIterator[Request]:
        """Reserve, admit and claim one request, which the block sends if it is ours; then store and settle what came.

        Raises:
            Fault: what the block brought instead of a response; gates, budget and ledger know of it.
            DayQuotaReached, NoProgress, QuotaTooSmall, BudgetReached: it may not be sent.
        """
        pace = job.pace
        worst = job.prices.worst_usd(call, tier=pace.tier, at=datetime.now(UTC))
        tokens = estimated_tokens(call)
        async with AsyncExitStack() as stack:
            hold = await job.budget.enter(worst)
            stack.callback(job.budget.release, hold)
            spending = None
            if pace.usd_per_10min is not None:
                spending = await self._gate(project, "").enter(usd=worst, stop=job.check)
                stack.callback(spending.withdraw)
            permit = await self._gate(project, call.model).enter(tokens=tokens, stop=job.check)
            stack.callback(permit.withdraw)
            claim = await self._recorder.start(_start(call, key, job, worst))
            if claim.state in ("ended", "busy"):
                job.tally.reused += claim.state == "ended"
                yield Request(False, bought=claim.bought)
                return
            job.tally.taken_over += claim.taken_over
            if job.reason is not None:
                # Stopped while the claim was written: it has not been sent yet.
                await self._recorder.release(key)
                job.check()
            sent, request = time.monotonic(), Request(True)
            try:
                yield request
            except Fault as fault:
                permit.failed(fault)
                cost = self._cost_of(call, job, fault, worst) if fault.maybe_billed else 0.0
                # One model's refusals are no reason to hold back the others: the project hears of money alone.
                _spent(spending, cost)
                job.budget.settle(hold, cost)
                await self._recorder.attempt(_attempt(call, key, job, fault, cost), release=True)
                raise
            except BaseException:
                # Cancelled, or broken: the provider may have served it, so the money counts as spent.
                permit.cancel()
                _spent(spending, worst)
                job.budget.settle(hold, worst)
                given_up = Fault(FaultKind.TRANSIENT, 0, "given up while in flight")
                self._recorder.note(_attempt(call, key, job, given_up, worst))
                raise
            body = request.body
            assert body is not None
            reply = read_response(call, body)
            usage = reply.usage
            usd = job.prices.usd(call.model, usage, tier=pace.tier, at=datetime.now(UTC))
            if usd is None:
                _say_uncounted(job, call)
            permit.succeeded(tokens=usage.prompt)
            _spent(spending, usd)
            job.budget.settle(hold, usd)
            await self._recorder.end(
                CallEnd(
                    key=key,
                    response=body,
                    model_version=reply.model_version,
                    response_id=reply.response_id,
                    tokens_prompt=usage.prompt,
                    tokens_cached=usage.cached,
                    tokens_output=usage.output,
                    tokens_thinking=usage.thinking,
                    usd=usd,
                    attempts=tries.transient + tries.broken + 1,
                    latency_ms=round(1000 * (time.monotonic() - sent)),
                )
            )
            job.tally.calls += 1
            job.tally.stages[call.stage] += 1
            job.tally.usd += usd or 0.0
            request.bought = PaidResponse(body, usd, self._recorder.ledger.session)

    @staticmethod
    def _cost_of(call: Call, job: Job, fault: Fault, worst: float) -> float:
        """What a fault may have cost: as its body counts, where one came that does, else the most it can."""
        usage = usage_of(call, fault.body)[0] if fault.body else UNCOUNTED
        if usage == UNCOUNTED:
            return worst
        usd = job.prices.usd(call.model, usage, tier=job.pace.tier, at=datetime.now(UTC))
        return worst if usd is None else usd

    def _gate(self, project: str, model: str) -> RateLimiter:
        """The gate of a model, or of the whole project for ''."""
        if model not in self.gates:
            self.gates[model] = RateLimiter(model or project, limits_of(self._pace, model), rng=self._rng)
            self.gates[model].share = self._share
        return self.gates[model]


def limits_of(pace: Pace, model: str) -> Limits:
    """What limits a model; for '' what limits the project, whose spending is counted over all its models."""
    if not model:
        return Limits(usd_per_10min=pace.usd_per_10min, concurrency=None, usd_window_s=10 * pace.window_s)
    return Limits(
        rpm=pace.rpm_of.get(model, pace.rpm),
        tpm=pace.tpm_of.get(model, pace.tpm),
        concurrency=pace.concurrency,
        window_s=pace.window_s,
    )


def estimated_tokens(call: Call) -> int:
    """Input tokens of a call, about: four bytes each. Settled when the provider has counted."""
    return (len((call.system + call.prompt).encode("utf-8", "surrogatepass")) + len(call.config_json)) // 4 + 8


def _say_uncounted(job: Job, call: Call) -> None:
    """Count a response whose cost is not known; warn of the first."""
    job.tally.uncounted += 1
    if job.tally.uncounted == 1:
        said = "%s counts no tokens that can be true; such a call counts as the most that it can have cost"
        logger.warning(said, call.model)


def _start(call: Call, key: str, job: Job, worst_usd: float) -> CallStart:
    return CallStart(
        key=key,
        provider=call.provider,
        model=call.model,
        stage=call.stage,
        job=job.pace.job,
        prompt_version=call.prompt_version,
        tier=job.pace.tier,
        reserved_usd=worst_usd,
    )


def _attempt(call: Call, key: str, job: Job, fault: Fault, usd: float) -> Attempt:
    return Attempt(
        key=key,
        job=job.pace.job,
        stage=call.stage,
        model=call.model,
        outcome=fault.kind.value,
        code=str(fault.code) if fault.code else None,
        message=fault.message,
        response=fault.body or None,
        usd=usd,
    )


def _spent(permit: Permit | None, usd: float | None) -> None:
    """Tell the project's gate what a call cost, or may have; None leaves it at what was reserved."""
    if permit is not None:
        permit.settle(usd=usd)
        permit.cancel()
