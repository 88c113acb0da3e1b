"""One request to one model, the key it is remembered by, what came back, and what can go wrong."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from routecal.tasks.errors import TaskError

# What a call is for; the ledger accounts by it, the key leaves it out.
Stage = Literal["medium", "large", "judge"]

# Stands for a prompt, as no text of ours or of a user does.
_PLACE = "\0the prompt\0"


@dataclass(frozen=True, slots=True)
class Call:
    """Everything that decides what comes back, and nothing else but `stage`.

    How a call travels (online, flex or batch, which project pays, how long we wait) is no part of it: the answer
    bought one way is found again the other way.

    Attributes:
        provider: `gemini`, `vertex`, or `openai:<base url>`.
        model: as the provider spells it.
        system: system instruction; empty for none.
        prompt: the one user turn.
        config: plain JSON. For `generate`: `max_output_tokens`, `thinking_level` (or None) and, for a judge,
            `schema`, a JSON schema of the answer. For `decide`: `questions`.
        prompt_version: name and digest of the prompt files the texts were made from.
        sample: 0, or higher to ask the same again on purpose.
        endpoint: `generate` writes text, `decide` chooses among given answers.
        stage: what it is for.
        config_json: `config` as canonical JSON, written once: it is asked for at every step of the way.
    """

    provider: str
    model: str
    system: str
    prompt: str
    config: Mapping[str, Any]
    prompt_version: str
    sample: int = 0
    endpoint: Literal["generate", "decide"] = "generate"
    stage: Stage = field(default="judge", compare=False)
    config_json: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "config_json", _json(self.config))

    @property
    def key(self) -> str:
        """sha256 of the canonical request, in hexadecimal."""
        return hashlib.sha256(self._canonical().encode("ascii")).hexdigest()

    def keys(self, prompts: Iterable[str]) -> list[str]:
        """The key of this call with each of some prompts instead of its own, several times as fast as one by one."""
        before, after = replace(self, prompt=_PLACE)._canonical().split(json.dumps(_PLACE))
        start, rest = hashlib.sha256(before.encode("ascii")), after.encode("ascii")
        digests = []
        for prompt in prompts:
            digest = start.copy()
            digest.update(json.dumps(prompt).encode("ascii") + rest)
            digests.append(digest.hexdigest())
        return digests

    def _canonical(self) -> str:
        parts = {
            "provider": self.provider,
            "endpoint": self.endpoint,
            "model": self.model,
            "system": self.system,
            "contents": self.prompt,
            "prompt_version": self.prompt_version,
            "sample": self.sample,
        }
        # The first of the sorted keys.
        return f'{{"config":{self.config_json},{_json(parts)[1:]}'


def _json(value: Mapping[str, Any]) -> str:
    """Canonical JSON. Lone surrogates, which input can hold, have no UTF-8; escaped as ASCII they have a digest."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Usage(NamedTuple):
    """Tokens of one response as the provider counted them; None where it did not say, never 0 instead.

    Attributes:
        prompt: all input tokens, cached ones included.
        cached: of these, from the provider's cache.
        output: visible output.
        thinking: billed as output too.
    """

    prompt: int | None = None
    cached: int | None = None
    output: int | None = None
    thinking: int | None = None


UNCOUNTED = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, read.

    Attributes:
        text: what the model wrote, without its thoughts; None if nothing.
        finish: why it ended, as the provider says: `STOP`, `MAX_TOKENS`, `SAFETY` …
        blocked: the reason if the prompt or the answer was withheld, else None.
        model_version: the model that answered, as it says itself.
        response_id: the provider's own id.
        usage: tokens.
        choices: for `decide`: question -> (answer, probability of each answer).
        earlier: an earlier run bought it, and this one may ask for it anew.
    """

    text: str | None
    finish: str
    blocked: str | None = None
    model_version: str | None = None
    response_id: str | None = None
    usage: Usage = UNCOUNTED
    choices: Mapping[str, tuple[str, Mapping[str, float]]] = field(default_factory=dict)
    earlier: bool = field(default=False, compare=False)


class FaultKind(StrEnum):
    """The rows of the retry table."""

    FATAL = "fatal"  # every call would fail: stop the run, say what to put right
    DAY_QUOTA = "day quota"  # this model is spent until the quota resets
    RATE = "rate"  # too fast: all calls to this model wait, then again
    TRANSIENT = "transient"  # bad luck: this call again, later
    ROW = "row"  # this request will never be taken; the others are fine
    BROKEN = "broken"  # a reply came, but is no answer: this call once more, then it is that row's trouble


class Fault(TaskError):
    """A call that brought no usable response. Picklable, and without the provider's own objects.

    Args:
        kind: what to do.
        code: HTTP status, or 0 where there was none.
        message: the provider's words, shortened, secrets removed.
        retry_after_s: how long the provider asks to wait, if it says.
        maybe_billed: the request may have been served although nothing usable came back (time-outs, cut bodies).
        hint: for FATAL, and for BROKEN where every reply is: a clause on what to do.
        body: what was received, where something was.
    """

    kind: FaultKind
    code: int
    message: str
    retry_after_s: float | None = None
    maybe_billed: bool = False
    hint: str = ""
    body: str = ""

    def __str__(self) -> str:
        said = f"{self.message} (HTTP {self.code})" if self.code else self.message
        return f"{said}; {self.hint}" if self.hint else said


def check_text(call: Call) -> None:
    """Refuse a text that has no UTF-8.

    Raises:
        Fault: ROW: it holds half a surrogate pair, as JSON input can.
    """
    try:
        (call.system + call.prompt).encode("utf-8")
    except UnicodeEncodeError:
        said = "the text holds half a surrogate pair, which no model can be sent"
        raise Fault(FaultKind.ROW, 0, said) from None
