"""The real openai package against a server of our own: what each way to fail becomes, and that a call is sent once."""

from collections.abc import Iterator
from typing import Any

import pytest

from routecal.tasks.oracle.call import UNCOUNTED, FaultKind
from routecal.tasks.oracle.providers.openai import OpenAI
from tests.gemini_server.refusals import REFUSALS, Refusal
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.gemini_calls import LOOP
from tests.tasks.oracle.openai_calls import KEY, ask, fault_of, sent, told
from tests.tasks.oracle.providers.test_error_classes import KINDS

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind


def refusal(status: int, message: str, **error: Any) -> Refusal:
    """As OpenAI words it."""
    said = {"message": message, "type": "invalid_request_error", "param": None, "code": None} | error
    return Refusal(status, {"error": said})


_RPM = "Rate limit reached for m in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1."
_RPD = _RPM.replace("per min (RPM)", "per day (RPD)")
_OLD_CAP = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
_TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens."
_CAP = "'max_tokens' is too large: {}. This model's maximum context length is 4096 tokens and it has 4090 input tokens"
_OLD_VLLM = (
    "This model's maximum context length is 4096 tokens. However, you requested 8192 tokens "
    "(4096 in the messages, {} in the completion)."
)

# name -> refusal, what it becomes, and a clause of what is said.
OPENAI: dict[str, tuple[Refusal, FaultKind, str]] = {
    "key": (refusal(401, "Incorrect API key provided: sk-ab**yz.", code="invalid_api_key"), FATAL, "OPENAI_API_KEY"),
    "country": (refusal(403, "Country, region, or territory not supported"), FATAL, "may use the API and the model"),
    "quota": (refusal(429, "You exceeded your current quota.", code="insufficient_quota"), FATAL, "add credits"),
    "billing": (refusal(429, "Your account is not active.", code="billing_not_active"), FATAL, "add credits"),
    "minute": (refusal(429, f"{_RPM} Please try again in 20s.", code="rate_limit_exceeded"), RATE, "Limit 3"),
    "day": (refusal(429, f"{_RPD} Please try again in 7m12s.", code="rate_limit_exceeded"), DAY_QUOTA, "(RPD)"),
    "overloaded": (refusal(503, "The engine is currently overloaded", type="server_error"), TRANSIENT, "overloaded"),
    "model": (refusal(404, "The model `m` does not exist", code="model_not_found"), FATAL, "--medium-model"),
    "ollama": (Refusal(404, {"error": 'model "m" not found, try pulling it first'}), FATAL, "try pulling"),
    "path": (Refusal(404, {"detail": "Not Found"}), FATAL, "the base URL"),
    "redirect": (Refusal(301, "", {"Location": "https://127.0.0.1/"}), FATAL, "check the base URL"),
    "long": (refusal(400, _TOO_LONG, param="messages", code="context_length_exceeded"), ROW, "maximum context length"),
    "vllm-long": (Refusal(400, {"object": "error", "message": _TOO_LONG, "type": "BadRequestError"}), ROW, "8192"),
    "vllm-cap": (refusal(400, _CAP.format(4096), param="max_tokens"), FATAL, "smaller --max-output-tokens"),
    "vllm-cap-and-long": (refusal(400, _CAP.format(64), param="max_tokens", code="invalid_value"), ROW, "4090 input"),
    "vllm-old-cap": (refusal(400, _OLD_VLLM.format(4096)), FATAL, "smaller --max-output-tokens"),
    "vllm-old-long": (refusal(400, _OLD_VLLM.format(100)), ROW, "in the messages"),
    "openai-cap": (
        refusal(400, "max_tokens is too large: 99999. At most 16384", param="max_tokens", code="invalid_value"),
        FATAL,
        "smaller --max-output-tokens",
    ),
    "ollama-thinking": (refusal(400, '"llama3" does not support thinking'), FATAL, "--large-thinking none"),
    "policy": (refusal(400, "Your request was rejected by our safety system", code="content_policy"), ROW, "rejected"),
    "effort": (
        refusal(400, "Unrecognized request argument supplied: reasoning_effort"),
        FATAL,
        "--judge-thinking none",
    ),
    "level": (
        refusal(400, "Unsupported value: 'minimal'", param="reasoning_effort", code="unsupported_value"),
        FATAL,
        "--medium-thinking none",
    ),
    "schema": (refusal(400, "Invalid parameter: 'response_format' is not supported."), FATAL, "--judge-json object"),
    "flex": (refusal(400, "Invalid service_tier argument", param="service_tier"), FATAL, "leave out --backend flex"),
    "gemma": (refusal(400, "System role not supported"), FATAL, "chat template"),
    "echoed": (refusal(400, "Bad request.", received="flex is not supported: service_tier"), ROW, "Bad request"),
    "within-200": (refusal(200, "Provider returned error", code=429), RATE, "Provider returned error"),
    "within-200-bare": (refusal(200, "upstream gone"), TRANSIENT, "upstream gone"),
}


@pytest.fixture(scope="module", autouse=True)
def openai_words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, (made, *_) in OPENAI.items():
            patch.setitem(REFUSALS, f"openai-{name}", lambda made=made: made)
        patch.setitem(REFUSALS, "openai-cap", lambda: refusal(400, _OLD_CAP, code="unsupported_parameter"))
        patch.setitem(REFUSALS, "openai-echo", lambda: Refusal(500, f"<html>Bearer {KEY}</html>"))
        yield


@pytest.mark.parametrize("name", KINDS)
def test_a_refusal_in_google_words_is_sent_once_and_named(name: str, server: GeminiServer, provider: OpenAI) -> None:
    before = server.requests(model := f"m-{name}")
    fault = fault_of(provider, ask(model))
    assert server.requests(model) - before == 1
    assert (fault.kind, fault.code, fault.maybe_billed) == (KINDS[name], REFUSALS[name]().status, False)


@pytest.mark.parametrize("name", OPENAI)
def test_a_refusal_in_other_words_is_sent_once_and_named(name: str, server: GeminiServer, provider: OpenAI) -> None:
    _, kind, clause = OPENAI[name]
    before = server.requests(model := f"m-openai-{name}")
    fault = fault_of(provider, ask(model))
    assert server.requests(model) - before == 1
    assert (fault.kind, fault.maybe_billed) == (kind, False)
    assert clause in str(fault)
    assert bool(fault.hint) == (kind is FATAL)


@pytest.mark.parametrize(
    ("name", "seconds"), [("openai-minute", 20.0), ("openai-day", 432.0), ("429-header", 4.0), ("429-html", 7.0)]
)
def test_how_long_to_wait_is_heard(name: str, seconds: float, provider: OpenAI) -> None:
    assert fault_of(provider, ask(f"m-{name}")).retry_after_s == seconds


# Status 200 or a broken connection -> what was received of it, and what it is.
USELESS = {
    "fin": ("", TRANSIENT),
    "rst": ("", TRANSIENT),
    "cut": ("", TRANSIENT),
    "slow": ("", TRANSIENT),
    "drip": ("", TRANSIENT),
    "truncated": ('{"id"', TRANSIENT),
    "not-utf8": ('{"candidates"', TRANSIENT),
    "empty": ('{"id"', BROKEN),
    "empty-body": ("", FATAL),
    "list": ("[]", FATAL),
    "html": ("<html>", FATAL),
    "echo": ("<html>", FATAL),
}


@pytest.mark.parametrize("name", USELESS)
def test_what_is_no_answer_is_sent_once_and_named(name: str, server: GeminiServer, provider: OpenAI) -> None:
    before = server.requests(model := f"m-{name}")
    fault = fault_of(provider, ask(model), timeout_s=0.6 if name in ("slow", "drip") else 5.0)
    assert server.requests(model) - before == 1
    start, kind = USELESS[name]
    assert (fault.kind, fault.maybe_billed) == (kind, kind is not FATAL)
    assert fault.body.startswith(start)
    assert bool(fault.body) == bool(start)
    # Replaced by something else, the bytes would be answers nobody gave.
    assert ("not UTF-8" in fault.message) == (name == "not-utf8")


@pytest.mark.parametrize(
    ("model", "text", "finish", "blocked"),
    [
        ("m-ok", "Paris", "STOP", None),
        ("m-blocked", None, "SAFETY", "SAFETY"),
        ("m-safety", None, "SAFETY", "SAFETY"),
        ("m-max-tokens", None, "MAX_TOKENS", None),
        ("m-no-usage", "Paris", "STOP", None),
        ("m-wrong-version", "Paris", "STOP", None),
    ],
)
def test_a_response_is_a_reply(
    model: str, text: str | None, finish: str, blocked: str | None, server: GeminiServer, provider: OpenAI
) -> None:
    reply = sent(provider, ask(model))
    assert (reply.text, reply.finish, reply.blocked) == (text, finish, blocked)
    assert (reply.usage == UNCOUNTED) == (model == "m-no-usage")
    assert reply.model_version == ("gemini-2.0-flash-lite" if model == "m-wrong-version" else model)
    assert (reply.response_id or "").startswith("chatcmpl-")


def test_the_body_is_the_server_s_own_text(server: GeminiServer, provider: OpenAI) -> None:
    call = ask("m-ok")
    body = LOOP.run(provider.send(call, timeout_s=5.0))
    # The package's models would leave out what it does not know and order it anew.
    assert body.startswith('{"id": "chatcmpl-r')
    assert '"created": 1800000000, "model": "m-ok"' in body


def test_a_model_that_knows_the_other_cap_only_is_asked_so_from_then_on(server: GeminiServer, provider: OpenAI) -> None:
    server.script({"o9": Script(steps=("openai-cap",))})
    before = server.requests("o9")
    fault = fault_of(provider, ask("o9"))
    assert (fault.kind, fault.maybe_billed, server.requests("o9") - before) == (TRANSIENT, False, 1)
    assert sent(provider, ask("o9")).text == "Paris"
    assert (server.seen[-1].body.get("max_tokens"), server.seen[-1].body["max_completion_tokens"]) == (None, 64)
    assert sent(provider, ask("m-ok")).text == "Paris"
    assert server.seen[-1].body["max_tokens"] == 64
    # Refused under both names, it is no bad luck.
    assert fault_of(provider, ask("m-openai-cap")).kind is TRANSIENT
    assert fault_of(provider, ask("m-openai-cap")).kind is FATAL


@pytest.mark.parametrize("name", ["openai-key", "403", "429", "502-html-as-json", "html", "echo", "openai-echo", "fin"])
def test_the_key_is_in_no_part_of_a_fault(name: str, provider: OpenAI) -> None:
    fault = fault_of(provider, ask(f"m-{name}"))
    assert not [text for text in told(fault) if KEY in text]
    assert KEY not in f"{provider.name} {provider.project} {provider!r}"
