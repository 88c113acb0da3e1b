"""The real SDK against a server of our own: what each way to fail becomes, and that a call is sent once."""

from collections.abc import Callable

import pytest
from google.oauth2.credentials import Credentials

from routecal.tasks.oracle.call import UNCOUNTED, Call, FaultKind
from routecal.tasks.oracle.providers.gemini import Gemini
from tests.gemini_server.refusals import REFUSALS
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.gemini_calls import KEY, SCHEMA, ask, decide, fault_of, opened, sent
from tests.tasks.oracle.providers.test_error_classes import KINDS

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind

# Status 200 or a broken connection -> what was received of it, and what it is.
USELESS = {
    "fin": ("", TRANSIENT),
    "rst": ("", TRANSIENT),
    "cut": ("", TRANSIENT),
    "slow": ("", TRANSIENT),
    "drip": ("", TRANSIENT),
    "truncated": ('{"candidates"', TRANSIENT),
    "not-utf8": ('{"candidates"', TRANSIENT),
    "empty": ('{"usageMetadata"', BROKEN),
    "empty-body": ("", FATAL),
    "list": ("[]", FATAL),
    "html": ("<html>", FATAL),
    "echo": ("<html>", FATAL),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("make", [ask, decide])
def test_a_refusal_is_sent_once_and_named(
    make: Callable[[str], Call], name: str, server: GeminiServer, gemini: Gemini
) -> None:
    before = server.requests(model := f"m-{name}")
    fault = fault_of(gemini, make(model))
    assert server.requests(model) - before == 1
    # An error page that claims to be JSON costs the SDK's larger half the status.
    code = 0 if (name, make) == ("502-html-as-json", ask) else REFUSALS[name]().status
    assert (fault.kind, fault.code, fault.maybe_billed) == (KINDS[name], code, False)


@pytest.mark.parametrize("name", USELESS)
@pytest.mark.parametrize("make", [ask, decide])
def test_what_is_no_answer_is_sent_once_and_named(
    make: Callable[[str], Call], name: str, server: GeminiServer, gemini: Gemini
) -> None:
    before = server.requests(model := f"m-{name}")
    fault = fault_of(gemini, make(model), timeout_s=0.6 if name in ("slow", "drip") else 5.0)
    assert server.requests(model) - before == 1
    start, kind = USELESS[name]
    if (name, make) == ("not-utf8", decide):
        kind = FATAL  # a candidate, where answers to questions were asked for
    assert (fault.kind, fault.maybe_billed) == (kind, kind is not FATAL)
    if make is ask:
        assert fault.body.startswith(start)
        assert bool(fault.body) == bool(start)


@pytest.mark.parametrize(
    ("model", "text", "finish", "blocked"),
    [
        ("m-ok", "Paris", "STOP", None),
        ("m-blocked", None, "BLOCKED", "PROHIBITED_CONTENT"),
        ("m-safety", None, "SAFETY", "SAFETY"),
        ("m-recitation", None, "RECITATION", "RECITATION"),
        ("m-max-tokens", None, "MAX_TOKENS", None),
        ("m-no-usage", "Paris", "STOP", None),
        ("m-wrong-version", "Paris", "STOP", None),
    ],
)
def test_a_response_is_a_reply(
    model: str, text: str | None, finish: str, blocked: str | None, server: GeminiServer, gemini: Gemini
) -> None:
    before = server.requests(model)
    reply = sent(gemini, ask(model))
    assert server.requests(model) - before == 1
    assert (reply.text, reply.finish, reply.blocked) == (text, finish, blocked)
    assert (reply.usage == UNCOUNTED) == (model == "m-no-usage")
    assert reply.model_version == ("gemini-2.0-flash-lite" if model == "m-wrong-version" else model)
    assert (reply.response_id or "").startswith("r")


@pytest.mark.parametrize(("step", "end"), [("new-enum", "STOP_OF_NEW_KIND"), ("continuation", "CONTINUATION")])
def test_an_end_on_no_list_is_no_answer(step: str, end: str, server: GeminiServer, gemini: Gemini) -> None:
    before = server.requests(f"m-{step}")
    fault = fault_of(gemini, ask(f"m-{step}"))
    assert (fault.kind, fault.message) == (BROKEN, f"the reply has the end '{end}', so it is no whole answer")
    assert server.requests(f"m-{step}") - before == 1


def test_more_room_lets_a_model_finish(server: GeminiServer, gemini: Gemini) -> None:
    server.script({"cramped": Script(then="max-tokens")})
    assert sent(gemini, ask("cramped")).finish == "MAX_TOKENS"
    assert sent(gemini, ask("cramped", config={"max_output_tokens": 256, "thinking_level": "LOW"})).text == "Paris"


def test_after_a_fault_the_same_call_can_succeed(server: GeminiServer, gemini: Gemini) -> None:
    server.script({"m-429-then-ok": Script(steps=("429",))})
    fault = fault_of(gemini, ask("m-429-then-ok"))
    assert (fault.kind, fault.retry_after_s) == (RATE, 3.0)
    assert sent(gemini, ask("m-429-then-ok")).text == "Paris"


def test_decisions(server: GeminiServer, gemini: Gemini) -> None:
    reply = sent(gemini, decide("m-ok"))
    assert reply.choices["q"] == ("INCORRECT", {"CORRECT": pytest.approx(0.06), "INCORRECT": 0.94})
    assert server.seen[-1].path == "/v1beta/decisions"
    assert server.seen[-1].headers["x-goog-api-key"] == KEY
    assert sent(gemini, decide("m-blocked")).blocked == "PROHIBITED_CONTENT"


def test_what_goes_over_the_wire(server: GeminiServer, gemini: Gemini) -> None:
    config = {"max_output_tokens": 2048, "thinking_level": "HIGH", "schema": SCHEMA}
    sent(gemini, ask("m-ok", system="Be brief.", config=config), tier="flex", timeout_s=30)
    seen = server.seen[-1]
    assert (seen.path, seen.system, seen.prompt) == (
        "/v1/models/m-ok:generateContent", "Be brief.", "Capital of France?",
    )  # fmt: skip
    assert (seen.tier, seen.cap, seen.schema) == ("flex", 2048, SCHEMA)
    assert seen.config["thinkingConfig"] == {"thinking_level": "HIGH"}
    assert seen.config["responseMimeType"] == "application/json"
    assert (seen.headers["x-goog-api-key"], seen.headers["x-server-timeout"]) == (KEY, "30")
    sent(gemini, ask("m-ok", config={"json_object": True}))
    assert (server.seen[-1].config, server.seen[-1].schema) == ({"responseMimeType": "application/json"}, None)
    sent(gemini, ask("m-ok"))
    assert server.seen[-1].tier == "standard"
    assert server.seen[-1].schema is None


def test_vertex(server: GeminiServer) -> None:
    arguments = {"key": None, "vertex": True, "project": "p", "location": "global", "base_url": server.url}
    with opened(**arguments, credentials=Credentials("ya29.token")) as vertex:
        assert (vertex.name, vertex.project) == ("vertex", "p")
        assert sent(vertex, ask("m-ok")).text == "Paris"
        path = "/v1beta1/projects/p/locations/global/publishers/google/models/m-ok:generateContent"
        assert (server.seen[-1].path, server.seen[-1].headers["authorization"]) == (path, "Bearer ya29.token")
        assert "x-goog-api-key" not in server.seen[-1].headers
        assert fault_of(vertex, ask("m-429-vertex")).kind is RATE
        assert fault_of(vertex, ask("m-403-vertex")).kind is FATAL
        assert "ya29" not in repr(fault_of(vertex, ask("m-echo")))
        assert fault_of(vertex, decide("m-ok")).kind is FATAL


def test_vertex_by_key(server: GeminiServer) -> None:
    with opened(key=KEY, vertex=True, base_url=server.url) as express:
        assert sent(express, ask("m-ok")).text == "Paris"
    assert server.seen[-1].path == "/v1beta1/publishers/google/models/m-ok:generateContent"
