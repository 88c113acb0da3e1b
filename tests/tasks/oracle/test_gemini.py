"""The real SDK against a server of our own: what each way to fail becomes, and that a call is sent once."""

import asyncio
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from tasks.errors import OptionMissing
from tasks.oracle.call import UNCOUNTED, Call, Reply
from tasks.oracle.faults import Fault, FaultKind
from tasks.oracle.gemini import Gemini, key_from_env
from tasks.oracle.replies import read
from tests.gemini_server.answers import Answers
from tests.gemini_server.refusals import REFUSALS
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.test_classify import KINDS

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW = FaultKind
KEY = "key-that-nobody-may-see"
QUESTIONS = {"q": {"type": "choice", "instructions": "Grade.", "criteria": {"CORRECT": "", "INCORRECT": ""}}}
SCHEMA = {"type": "object", "properties": {"grade": {"type": "string", "enum": ["CORRECT", "INCORRECT"]}}}


# One loop for most tests: every new one costs a client of the SDK, a fifth of a second.
LOOP = asyncio.Runner()


@pytest.fixture(scope="module")
def server() -> Iterator[GeminiServer]:
    with serving(respond=Answers({"Capital of France?": "Paris"})) as running, LOOP:
        yield running


@contextmanager
def opened(**arguments: Any) -> Iterator[Gemini]:
    gemini = Gemini.create(**arguments)
    yield gemini
    LOOP.run(gemini.aclose())


@pytest.fixture(scope="module")
def gemini(server: GeminiServer) -> Iterator[Gemini]:
    with opened(key=KEY, base_url=server.url) as gemini:
        # The SDK's other half is imported on first use, which takes longer than some time-outs below.
        sent(gemini, decide("m-warm"))
        yield gemini


def ask(model: str, **changes: Any) -> Call:
    config = {"max_output_tokens": 64, "thinking_level": "LOW"}
    return Call(**{"provider": "gemini", "model": model, "system": "", "prompt": "Capital of France?"} | {
        "config": config, "prompt_version": "v"} | changes)  # fmt: skip


def decide(model: str) -> Call:
    return ask(model, config={"questions": QUESTIONS}, endpoint="decide")


def sent(gemini: Gemini, call: Call, *, tier: str = "online", timeout_s: float = 5.0) -> Reply:
    return read(call, LOOP.run(gemini.send(call, tier=tier, timeout_s=timeout_s)))


def fault_of(gemini: Gemini, call: Call, *, timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as raised:
        sent(gemini, call, timeout_s=timeout_s)
    return raised.value


# Status 200 or a broken connection -> what was received of it.
BROKEN = {
    "fin": "",
    "rst": "",
    "cut": "",
    "slow": "",
    "drip": "",
    "empty-body": "",
    "list": "[]",
    "html": "<html>",
    "echo": "<html>",
    "truncated": '{"candidates"',
    "not-utf8": '{"candidates"',
    "empty": '{"usageMetadata"',
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


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("make", [ask, decide])
def test_a_broken_response_is_sent_once_and_may_be_billed(
    make: Callable[[str], Call], name: str, server: GeminiServer, gemini: Gemini
) -> None:
    before = server.requests(model := f"m-{name}")
    fault = fault_of(gemini, make(model), timeout_s=0.6 if name in ("slow", "drip") else 5.0)
    assert server.requests(model) - before == 1
    assert (fault.kind, fault.maybe_billed) == (TRANSIENT, True)
    if make is ask:
        assert fault.body.startswith(BROKEN[name])
        assert bool(fault.body) == bool(BROKEN[name])


@pytest.mark.parametrize(
    ("model", "text", "finish", "blocked"),
    [
        ("m-ok", "Paris", "STOP", None),
        ("m-blocked", None, "BLOCKED", "PROHIBITED_CONTENT"),
        ("m-safety", None, "SAFETY", "SAFETY"),
        ("m-recitation", None, "RECITATION", "RECITATION"),
        ("m-max-tokens", None, "MAX_TOKENS", None),
        ("m-new-enum", "Paris", "STOP_OF_NEW_KIND", None),
        ("m-continuation", "Paris", "CONTINUATION", None),
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


@pytest.mark.parametrize("name", ["400-key", "403", "429", "502-html-as-json", "html", "echo", "truncated", "fin"])
@pytest.mark.parametrize("make", [ask, decide])
def test_the_key_is_in_no_part_of_a_fault(make: Callable[[str], Call], name: str, gemini: Gemini) -> None:
    fault = fault_of(gemini, make(f"m-{name}"))
    told = [str(fault), repr(fault), repr(vars(fault)), "".join(traceback.format_exception(fault))]
    assert not [text for text in told if KEY in text]
    assert KEY.encode() not in pickle.dumps(fault)
    assert fault.__context__ is None
    assert KEY not in repr(gemini)


def test_no_connection_costs_nothing(server: GeminiServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with opened(key=KEY, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}") as nobody:
            for call in (ask("m"), decide("m")):
                fault = fault_of(nobody, call)
                assert (fault.kind, fault.maybe_billed) == (TRANSIENT, False)


def test_an_address_that_is_none_stops_the_run(server: GeminiServer) -> None:
    with opened(key=KEY, base_url="nowhere") as lost:
        assert "check the base URL" in str(fault_of(lost, ask("m")))


def test_half_a_surrogate_pair_is_not_sent(server: GeminiServer, gemini: Gemini) -> None:
    before = server.requests()
    assert fault_of(gemini, ask("m-ok", prompt="a\ud800")).kind is ROW
    assert server.requests() == before
    assert sent(gemini, ask("m-ok", prompt="nul \0, emoji 😀, ‮right to left")).finish == "STOP"


@pytest.mark.parametrize("text", ["x" * 3_000_000, "😀" * 90_000])
def test_a_query_of_any_length_is_sent(text: str, server: GeminiServer, gemini: Gemini) -> None:
    assert sent(gemini, ask("m-ok", prompt=text), timeout_s=30).finish == "STOP"
    assert server.seen[-1].prompt == text


def test_a_thinking_level_that_the_sdk_does_not_know_is_sent(server: GeminiServer, gemini: Gemini) -> None:
    sent(gemini, ask("m-ok", config={"thinking_level": "ULTRA"}))
    assert server.seen[-1].config["thinkingConfig"] == {"thinking_level": "ULTRA"}


def test_mistakes_of_ours_come_out_as_they_are(gemini: Gemini) -> None:
    with pytest.raises(ValueError, match="no option top_p"):
        sent(gemini, ask("m-ok", config={"top_p": 0}))
    with pytest.raises(ValueError, match="tier 'cheap'"):
        sent(gemini, ask("m-ok"), tier="cheap")
    with pytest.raises(KeyError):
        sent(gemini, ask("m-ok", config={}, endpoint="decide"))


def test_one_provider_serves_many_loops_and_threads(server: GeminiServer) -> None:
    gemini = Gemini.create(key=KEY, base_url=server.url)
    before, numbers = server.requests("m-ok"), count()

    async def several(close: bool) -> None:
        calls = [ask("m-ok", sample=next(numbers)) for _ in range(5)]
        await asyncio.gather(*(gemini.send(call, timeout_s=5) for call in calls))
        await gemini.send(decide("m-ok"), timeout_s=5)
        if close:
            await gemini.aclose()
            await gemini.send(calls[0], timeout_s=5)

    # A loop that does not close is closed with it; anything left open would warn, and warnings are errors here.
    asyncio.run(several(close=False))
    asyncio.run(several(close=True))
    threads = [threading.Thread(target=asyncio.run, args=(several(close=i == 0),)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests("m-ok") - before == 4 * 6 + 2


def test_many_calls_are_in_flight_at_once(server: GeminiServer, gemini: Gemini) -> None:
    server.script({"sleepy": Script(latency_s=0.2)})
    server.max_in_flight = 0

    async def all_at_once(n: int) -> None:
        await asyncio.gather(*(gemini.send(ask("sleepy"), timeout_s=20) for _ in range(n)))

    LOOP.run(all_at_once(150))
    assert server.max_in_flight > 100


def test_a_cancelled_call_leaves_the_others_alone(gemini: Gemini) -> None:
    async def cancel_one() -> tuple[Any, ...]:
        slow = asyncio.create_task(gemini.send(ask("m-slow"), timeout_s=5))
        quick: Awaitable[str] = gemini.send(ask("m-ok"), timeout_s=5)
        await quick
        slow.cancel()
        return (*await asyncio.gather(slow, return_exceptions=True), await gemini.send(ask("m-ok"), timeout_s=5))

    cancelled, body = LOOP.run(cancel_one())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert "Paris" in body


def test_the_key_comes_from_the_environment() -> None:
    assert key_from_env({"GEMINI_API_KEY": "a", "GOOGLE_API_KEY": "b"}) == "a"
    assert key_from_env({"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": "b\n"}) == "b"
    assert key_from_env({"GEMINI_API_KEY": ""}) is None


def test_the_environment_changes_neither_key_nor_mode(
    server: GeminiServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {
        "GOOGLE_API_KEY": "another",
        "GEMINI_API_KEY": KEY,
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_CLOUD_PROJECT": "p",
        "GOOGLE_GEMINI_BASE_URL": server.url,
        "HTTP_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING), opened(key=key_from_env()) as gemini:
        assert sent(gemini, ask("m-ok")).text == "Paris"
        assert sent(gemini, decide("m-ok")).choices
    assert not [r for r in caplog.records if r.name.startswith("google")]
    assert server.seen[-2].headers["x-goog-api-key"] == KEY


def test_vertex_finds_its_project_in_the_environment(monkeypatch: pytest.MonkeyPatch, server: GeminiServer) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p-env")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    with opened(key=None, vertex=True, base_url=server.url, credentials=Credentials("t")) as vertex:
        sent(vertex, ask("m-ok"))
    assert server.seen[-1].path.startswith("/v1beta1/projects/p-env/locations/europe-west4/publishers/google/models/")


def test_no_key_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    for arguments in ({"key": ""}, {"key": None, "vertex": True}):
        with pytest.raises(OptionMissing):
            Gemini.create(**arguments)  # type: ignore[arg-type]
    assert Gemini.create(key="a").project != Gemini.create(key="b").project
