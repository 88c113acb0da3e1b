"""How a model behaves: a script by model name, or a name that says it all, like `m-429-then-ok`."""

import asyncio
from collections import deque
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any

from tests.gemini_server.refusals import DAY, MINUTE, MINUTE_TOKENS, REFUSALS, Refusal, quota

# Steps that answer with status 200, or break the connection instead of answering; server.py plays them.
PLAYED = {
    "ok", "blocked", "empty", "safety", "recitation", "max-tokens", "new-enum", "continuation", "wrong-version",
    "no-usage", "truncated", "html", "echo", "empty-body", "list", "not-utf8", "fin", "rst", "cut", "slow", "drip",
}  # fmt: skip


@dataclass(frozen=True)
class BatchScript:
    """How a model's batch jobs go.

    Attributes:
        creates: what becomes of requests to create a job, in order: `ok`, names in `REFUSALS`, or `fin`, `rst` for a
            job that is created while its creator hears nothing.
        polls: how often a job is said to be pending, then running, before its end.
        end: state it ends in, or `PENDING`, `RUNNING` for one that never ends.
        missing_frac: share of rows without a result.
        failed_frac: share of rows with an error.
        failed_with: whose message that error bears, in `REFUSALS`.
        failed_code: its code, a google.rpc.Code.
        shuffled: results come in another order.
        torn: the file of results ends in the middle of its last line.
    """

    creates: tuple[str, ...] = ()
    polls: int = 1
    end: str = "SUCCEEDED"
    missing_frac: float = 0.0
    failed_frac: float = 0.0
    failed_with: str = "503"
    failed_code: int = 14
    shuffled: bool = True
    torn: bool = False


@dataclass(frozen=True)
class Script:
    """What a model does. Everything is JSON, so that a server in another process can be told too.

    Attributes:
        steps: names in `PLAYED` or `REFUSALS`, one per request in order of arrival.
        then: what it does once the steps are used up.
        latency_s: mean time to answer.
        latency_sd_s: its standard deviation (normal, cut at zero).
        slow_s: how long the steps `slow` and `drip` take.
        crowd: nothing is answered before so many requests are here at once.
        fail_frac: share of requests that fail at random, each with one of `fails`.
        fails: names in `REFUSALS`.
        seed: of latency and failures.
        rpm: requests per window, enforced with a sliding window; None for no limit.
        tpm: input tokens per window.
        window_s: the length of that window: 60 in the real service, less in a hurried test.
        rpd: requests per "day", which ends when the script is replaced.
        needs_tokens: output cap below which `max-tokens` cuts off; None for four times the first cap seen.
        thoughts: thinking tokens of each answer.
        version: the model version it says; None for its own name.
        batch: how its batch jobs go.
    """

    steps: tuple[str, ...] = ()
    then: str = "ok"
    latency_s: float = 0.0
    latency_sd_s: float = 0.0
    slow_s: float = 5.0
    crowd: int = 0
    fail_frac: float = 0.0
    fails: tuple[str, ...] = ("503", "429")
    seed: int = 0
    rpm: int | None = None
    tpm: int | None = None
    window_s: float = 60.0
    rpd: int | None = None
    needs_tokens: int | None = None
    thoughts: int = 0
    version: str | None = None
    batch: BatchScript = BatchScript()

    def __post_init__(self) -> None:
        for name in (*self.steps, self.then, *self.fails, *self.batch.creates, self.batch.failed_with):
            if name not in PLAYED and name not in REFUSALS:
                raise ValueError(f"no step is called {name!r}")

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Script":
        """From JSON."""
        batch = _made(BatchScript, values.get("batch", {}))
        return _made(cls, {**values, "batch": batch})

    @classmethod
    def named(cls, model: str) -> "Script":
        """`m-503` fails always, `m-503-then-ok` once; any other name just answers."""
        steps = model.removeprefix("m-").split("-then-")
        if model.startswith("m-") and all(step in PLAYED or step in REFUSALS for step in steps):
            return cls(steps=tuple(steps[:-1]), then=steps[-1])
        return cls()


def _made(cls: type, values: dict[str, Any]) -> Any:
    if unknown := values.keys() - {f.name for f in fields(cls)}:
        raise ValueError(f"a {cls.__name__} has no {', '.join(sorted(unknown))}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


@dataclass
class Playing:
    """A script and how far it has come."""

    script: Script
    random: Random = field(init=False)
    served: int = 0
    steps: int = 0
    creates: int = 0
    first_cap: int | None = None
    window: deque[tuple[float, int]] = field(default_factory=deque)
    window_tokens: int = 0
    here: int = 0
    crowded: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.random = Random(self.script.seed)

    def next(self, tokens: int, now: float) -> str | Refusal:
        """What to do with a request that arrives now."""
        script = self.script
        if self.steps < len(script.steps):
            self.steps += 1
            return script.steps[self.steps - 1]
        if script.rpd is not None and self.served >= script.rpd:
            return quota(DAY, retry_s=36.0, value=script.rpd)
        if refusal := self._over_window(tokens, now):
            return refusal
        if script.fail_frac and self.random.random() < script.fail_frac:
            return self.random.choice(script.fails)
        self.served += 1
        if script.rpm is not None or script.tpm is not None:
            self.window.append((now, tokens))
            self.window_tokens += tokens
        return script.then

    def next_create(self) -> str:
        """What becomes of a request to create a batch."""
        self.creates += 1
        creates = self.script.batch.creates
        return creates[self.creates - 1] if self.creates <= len(creates) else "ok"

    def latency_s(self) -> float:
        """Time until the answer."""
        if not self.script.latency_sd_s:
            return self.script.latency_s
        return max(0.0, self.random.gauss(self.script.latency_s, self.script.latency_sd_s))

    async def crowd(self) -> None:
        """Return when as many requests as the script asks for are waiting here."""
        self.here += 1
        if self.here >= self.script.crowd:
            self.crowded.set()
        try:
            await self.crowded.wait()
        finally:
            self.here -= 1

    def cuts_off(self, cap: int | None) -> bool:
        """Whether an answer within this cap ends in the middle of a thought."""
        if self.first_cap is None:
            self.first_cap = cap or 0
        needs = self.script.needs_tokens if self.script.needs_tokens is not None else 4 * self.first_cap
        return (cap or 0) < needs

    def _over_window(self, tokens: int, now: float) -> Refusal | None:
        script = self.script
        while self.window and self.window[0][0] <= now - script.window_s:
            self.window_tokens -= self.window.popleft()[1]
        over_requests = script.rpm is not None and len(self.window) >= script.rpm
        over_tokens = script.tpm is not None and self.window_tokens + tokens > script.tpm
        if not over_requests and not over_tokens:
            return None
        wait_s = self.window[0][0] + script.window_s - now if self.window else script.window_s
        if over_requests:
            return quota(MINUTE, retry_s=wait_s, value=script.rpm or 0)
        return quota(MINUTE_TOKENS, retry_s=wait_s, value=script.tpm or 0)
