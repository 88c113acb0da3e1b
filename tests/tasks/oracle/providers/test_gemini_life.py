"""Keys, loops, threads and connections of the Gemini adapter, through the real SDK."""

import asyncio
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from routecal.tasks.errors import OptionMissing
from routecal.tasks.oracle.call import Call, FaultKind
from routecal.tasks.oracle.providers.gemini import Gemini, key_from_env
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.gemini_calls import KEY, LOOP, ask, decide, fault_of, opened, sent

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind


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
    server.script({"crowd": Script(crowd=150)})

    async def all_at_once(n: int) -> list[str]:
        return await asyncio.gather(*(gemini.send(ask("crowd"), timeout_s=60) for _ in range(n)))

    # With one fewer at once none would be answered.
    assert all("Paris" in body for body in LOOP.run(all_at_once(150)))


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
