"""What goes into the ledger and what comes out of it; plain data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call that is about to be sent.

    Attributes:
        key: sha256 of the canonical request, in hexadecimal.
        provider: who is asked.
        model: as the provider spells it.
        stage: what the call is for.
        job: the run that pays for it.
        prompt_version: name and digest of the prompt files.
        tier: `online`, `flex` or `batch`.
        reserved_usd: the most it can cost.
    """

    key: str
    provider: str
    model: str
    stage: str
    job: str
    prompt_version: str
    tier: str
    reserved_usd: float


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A response, as it came.

    Attributes:
        key: that of the call.
        response: the raw body.
        model_version, response_id: as the provider says; None if it did not.
        tokens_prompt, tokens_cached, tokens_output, tokens_thinking: as `tasks.oracle.call.Usage`; None is unknown.
        usd: what it cost; None is unknown.
        attempts: how often it was sent, this time included.
        latency_ms: of the last time, in milliseconds.
    """

    key: str
    response: str
    model_version: str | None
    response_id: str | None
    tokens_prompt: int | None
    tokens_cached: int | None
    tokens_output: int | None
    tokens_thinking: int | None
    usd: float | None
    attempts: int
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that was sent and brought nothing usable.

    Attributes:
        key, job, stage, model: those of the call.
        outcome: the kind of fault. The ledger itself writes `lost` (its process died while it was in flight) and
            `duplicate` (it brought a second response, after another had been accepted).
        code: the provider's code or HTTP status; None if there was no response.
        message: what was said.
        response: the body, None if there was none.
        usd: the most that may have been billed; 0 when surely nothing was.
    """

    key: str
    job: str
    stage: str
    model: str
    outcome: str
    code: str | None
    message: str
    response: str | None
    usd: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch job of a provider, from the intent to create it on.

    Attributes:
        name: the display name we gave it, by which an orphan is found again.
        provider, model, job: whom we ask, and for which run.
        job_name: the provider's name; None until it is known to exist.
        state: `intended`, `created`, or what `end_batch` was told.
        keys_sha256: digest of the keys in it, in order.
        n: calls in it.
        reserved_usd: the most it can cost.
        created_at, ended_at: ISO 8601, UTC; `created_at` is when it was intended, `ended_at` None while it is open.
        session: the session that intended it.
    """

    name: str
    provider: str
    model: str
    job: str
    job_name: str | None
    state: str
    keys_sha256: str
    n: int
    reserved_usd: float
    created_at: str
    ended_at: str | None
    session: str


class PaidResponse(NamedTuple):
    """A response and its price.

    Attributes:
        response: the raw body.
        usd: what it cost when it was bought; None is unknown.
        session: which bought it.
    """

    response: str
    usd: float | None
    session: str


class Claim(NamedTuple):
    """Whose a call is.

    Attributes:
        state: `ours`: send it. `ended`: it was answered before. `busy`: a session that lives has it in flight.
        bought: what came back if it has ended.
        taken_over: ours, but a session that died had sent it: it may be paid a second time.
    """

    state: Literal["ours", "ended", "busy"]
    bought: PaidResponse | None = None
    taken_over: bool = False


class Spent(NamedTuple):
    """What a job has cost so far, in USD.

    Attributes:
        usd: known: of ended calls with a price.
        maybe_usd: upper bound of the rest: ended calls whose usage is unknown, attempts that may have been billed, and
            calls that dead sessions had in flight. Open batches are not in it: `open_batches` tells theirs.
        calls: ended.
        attempts: without a usable response.
    """

    usd: float
    maybe_usd: float
    calls: int
    attempts: int
