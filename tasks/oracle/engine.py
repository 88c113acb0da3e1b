"""The labelling engine: one event loop per process, through which every paid call goes.

Shards of several Prefect tasks share its connections, its gates and its ledger. A call is looked up, reserved,
admitted, marked as started, sent, and stored whole before anybody reads it:

    ledger has it? -> budget -> project gate -> model gate -> ledger: started -> provider -> ledger: ended -> read
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from storage.ledger import Attempt, End, Start
from storage.ledger_records import Bought
from tasks.oracle.call import Call, Reply
from tasks.oracle.drift import ModelDrift, check_version
from tasks.oracle.faults import Fault, FaultKind
from tasks.oracle.gate import Gate, Limits
from tasks.oracle.job import Job
from tasks.oracle.pace import Pace
from tasks.oracle.recorder import Recorder
from tasks.oracle.replies import read, usage_of
from tasks.oracle.stops import NotBought, OracleRefused

logger = logging.getLogger(__name__)

ATTEMPTS = 6
LONGEST_BACKOFF_S = 60.0
# Another process is asking for the same call: look again this often.
BUSY_S = 0.5
# A spend limit is kept by the provider per project; its gate limits nothing else.
UNBOUNDED = 1_000_000


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


class Answered(NamedTuple):
    """A reply and what the ledger says was paid for it; None where the provider did not count."""

    reply: Reply
    usd: float | None


class Engine:
    """Asks calls, each once. Made and used inside one event loop; `tasks.oracle.desk` runs it in a thread.

    Args:
        recorder: the way to the ledger.
        providers: by `Call.provider`.
        pace: limits of the gates.
        rng: of back-off and jitter.
    """

    def __init__(self, recorder: Recorder, providers: Mapping[str, Provider], pace: Pace, rng: random.Random) -> None:
        self._recorder, self._providers, self._pace, self._rng = recorder, providers, pace, rng
        self._gates: dict[tuple[str, str], Gate] = {}
        self._purchases: dict[str, asyncio.Task[Bought]] = {}
        # A refused key or a misspelt model must cost one call, not one per worker: the first call to each model
        # goes alone.
        self._scout = asyncio.Lock()
        self._proved: set[tuple[str, str]] = set()

    async def ask(self, job: Job, call: Call) -> Answered:
        """The reply to a call: from the ledger, else from the provider.

        Raises:
            Fault: of kind ROW or, after several tries, TRANSIENT: this call failed, others may not.
            ModelDrift, DayQuotaReached, BudgetReached, NoProgress, OracleRefused: the job has been stopped.
            NotBought: the job takes finished calls only.
        """
        purchase = self._purchases.get(key := call.key)
        if purchase is None:
            purchase = asyncio.get_running_loop().create_task(self._purchase(job, call, key))
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
        reply = read(call, bought.response)
        try:
            check_version(call.model, reply.model_version, job.pace.allow_versions)
        except ModelDrift as drift:
            job.stop(drift)
            raise
        return Answered(reply, bought.usd)

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
    def in_flight(self) -> int:
        """Requests that are with a provider now."""
        return sum(gate.in_flight for (_, model), gate in self._gates.items() if model)

    def gates(self) -> dict[str, Gate]:
        """The gates by model; the project's own under ''."""
        return {model: gate for (_, model), gate in self._gates.items()}

    def share(self, share: float) -> None:
        """Use this part of every quota: others run beside us."""
        self._share = share
        for gate in self._gates.values():
            gate.share = share

    _share = 1.0

    async def _purchase(self, job: Job, call: Call, key: str) -> Bought:
        if (bought := await self._recorder.find(key)) is not None:
            job.tally.reused += 1
            return bought
        if job.pace.finished_only:
            raise NotBought(key)
        try:
            return await self._buy(job, call, key)
        except Fault:
            raise
        except Exception as error:
            # Whatever else went wrong would go wrong again: no money, no quota, no disk, or a fault of ours.
            job.stop(error)
            raise

    async def _buy(self, job: Job, call: Call, key: str) -> Bought:
        """Send until something came back, by the retry table."""
        tries = 0
        while True:
            job.check()
            try:
                bought = await self._send_proved(job, call, key, tries)
            except Fault as fault:
                job.tally.retries[fault.kind.value] += 1
                if fault.kind is FaultKind.FATAL:
                    raise OracleRefused(call.model, fault.message, fault.hint) from fault
                if fault.kind is FaultKind.ROW:
                    raise
                # The gate has taken note of rates and quotas; they are nobody's fault and cost no try.
                if fault.kind is FaultKind.TRANSIENT:
                    tries += 1
                    if tries >= ATTEMPTS:
                        raise
                    await job.pause(self._backoff_s(tries))
                continue
            if bought is not None:
                return bought
            await job.pause(BUSY_S)
            if (bought := await self._recorder.find(key)) is not None:
                job.tally.reused += 1
                return bought

    async def _send_proved(self, job: Job, call: Call, key: str, tries: int) -> Bought | None:
        """As `_send`; the first call to each model goes alone, and the others wait to see it succeed."""
        if (who := (call.provider, call.model)) not in self._proved:
            async with self._scout:
                job.check()
                if who not in self._proved:
                    bought = await self._send(job, call, key, tries)
                    self._proved.add(who)
                    return bought
        return await self._send(job, call, key, tries)

    async def _send(self, job: Job, call: Call, key: str, tries: int) -> Bought | None:
        """One request through budget, gates and ledger; None if another process has it in flight."""
        provider, pace = self._providers[call.provider], job.pace
        worst = job.prices.worst_usd(call, tier=pace.backend, at=datetime.now(UTC))
        tokens = estimated_tokens(call)
        async with AsyncExitStack() as stack:
            hold = await job.budget.enter(worst)
            stack.callback(job.budget.release, hold)
            tickets = []
            for gate in self._gates_of(provider.project, call.model):
                tickets.append(await gate.enter(tokens=tokens, usd=worst, stop=job.check))
                stack.callback(tickets[-1].withdraw)
            claim = await self._recorder.start(_start(call, key, job, worst))
            if claim.state == "ended":
                assert claim.bought is not None
                job.tally.reused += 1
                return claim.bought
            if claim.state == "busy":
                return None
            job.tally.taken_over += claim.taken_over
            sent = time.monotonic()
            try:
                body = await provider.send(call, tier=pace.backend, timeout_s=pace.timeout_s)
            except Fault as fault:
                for ticket in tickets:
                    ticket.failed(fault)
                cost = worst if fault.maybe_billed else 0.0
                job.budget.settle(hold, cost)
                await self._recorder.attempt(_attempt(call, key, job, fault, cost), release=True)
                raise
            except BaseException:
                # Cancelled, or broken: the provider may have served it, so the money counts as spent.
                for ticket in tickets:
                    ticket.cancel()
                job.budget.settle(hold, worst)
                given_up = Fault(FaultKind.TRANSIENT, 0, "given up while in flight")
                self._recorder.note(_attempt(call, key, job, given_up, worst), release=True)
                raise
            usage, version, response_id = usage_of(call, body)
            usd = job.prices.usd(call.model, usage, tier=pace.backend, at=datetime.now(UTC))
            await self._recorder.end(
                End(
                    key=key,
                    response=body,
                    model_version=version,
                    response_id=response_id,
                    tokens_prompt=usage.prompt,
                    tokens_cached=usage.cached,
                    tokens_output=usage.output,
                    tokens_thinking=usage.thinking,
                    usd=usd,
                    attempts=tries + 1,
                    latency_ms=round(1000 * (time.monotonic() - sent)),
                )
            )
            job.budget.settle(hold, usd)
            for ticket in tickets:
                ticket.succeeded(tokens=usage.prompt, usd=usd)
            job.tally.calls += 1
            job.tally.stages[call.stage] += 1
            job.tally.usd += usd or 0.0
            return Bought(body, usd)

    def _gates_of(self, project: str, model: str) -> list[Gate]:
        """The gates a call must pass: of the project, if its spending is limited, and of the model."""
        spending = [self._gate(project, "")] if self._pace.usd_per_10min is not None else []
        return [*spending, self._gate(project, model)]

    def _gate(self, project: str, model: str) -> Gate:
        """The gate of a model, or of the whole project for ''."""
        if (place := (project, model)) not in self._gates:
            gate = Gate(model or project, limits_of(self._pace, model), rng=self._rng)
            gate.share = self._share
            self._gates[place] = gate
        return self._gates[place]

    def _backoff_s(self, tries: int) -> float:
        """Full jitter: anything up to the doubled wait, so that calls that failed together do not return together."""
        return self._rng.uniform(0.0, min(LONGEST_BACKOFF_S, self._pace.backoff_s * 2.0**tries))


def limits_of(pace: Pace, model: str) -> Limits:
    """What limits a model; for '' what limits the project, whose spending is counted over all its models."""
    if not model:
        return Limits(usd_per_10min=pace.usd_per_10min, concurrency=UNBOUNDED, usd_window_s=10 * pace.window_s)
    return Limits(
        rpm=pace.rpm_of.get(model, pace.rpm),
        tpm=pace.tpm_of.get(model, pace.tpm),
        concurrency=pace.concurrency,
        window_s=pace.window_s,
    )


def estimated_tokens(call: Call) -> int:
    """Input tokens of a call, about: four bytes each. Settled when the provider has counted."""
    return (
        len((call.system + call.prompt).encode("utf-8", "surrogatepass")) // 4 + len(json.dumps(call.config)) // 4 + 8
    )


def _start(call: Call, key: str, job: Job, worst_usd: float) -> Start:
    return Start(
        key=key,
        provider=call.provider,
        model=call.model,
        stage=call.stage,
        job=job.pace.job,
        prompt_version=call.prompt_version,
        tier=job.pace.backend,
        reserved_usd=worst_usd,
    )


def _attempt(call: Call, key: str, job: Job, fault: Fault, usd: float) -> Attempt:
    return Attempt(
        key=key,
        job=job.pace.job,
        stage=call.stage,
        model=call.model,
        outcome=fault.kind.value,
        code=fault.code,
        message=fault.message,
        response=fault.body or None,
        usd=usd,
    )
