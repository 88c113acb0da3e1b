"""What goes over the wire to an OpenAI-compatible server, with which key, and from which loops and threads."""

import asyncio
import base64
import socket
import threading
from itertools import count
from typing import Any

import pytest

from routecal.tasks.errors import OptionMissing
from routecal.tasks.oracle.call import FaultKind
from routecal.tasks.oracle.providers.openai import OpenAI
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.gemini_calls import LOOP, SCHEMA
from tests.tasks.oracle.openai_calls import KEY, ask, fault_of, opened, sent, told

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind


def test_what_goes_over_the_wire(server: GeminiServer, provider: OpenAI) -> None:
    config = {"max_output_tokens": 2048, "thinking_level": "HIGH", "schema": SCHEMA}
    sent(provider, ask("m-ok", system="Be brief.", config=config), tier="flex", timeout_s=30)
    assert server.seen[-1].body == {
        "model": "m-ok",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}],
        "stream": False,
        "max_tokens": 2048,
        "reasoning_effort": "high",
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True}},
        "service_tier": "flex",
    }
    assert (server.seen[-1].headers["authorization"], server.seen[-1].path) == (
        f"Bearer {KEY}",
        "/openai/v1/chat/completions",
    )
    # To a server of one's own nothing is sent that was not asked for: it might not know it.
    sent(provider, ask("m-ok"))
    assert server.seen[-1].body == {
        "model": "m-ok",
        "messages": [{"role": "user", "content": "Capital of France?"}],
        "stream": False,
        "max_tokens": 64,
    }
    sent(provider, ask("m-ok", config={"max_output_tokens": 64, "json_object": True}))
    assert server.seen[-1].body["response_format"] == {"type": "json_object"}


def test_openai_itself_is_asked_by_its_own_names() -> None:
    for base_url in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1/"):
        request = OpenAI.create(base_url=base_url, key=KEY)._request(ask("m"), "online", "max_completion_tokens")
        assert (request["max_completion_tokens"], request["service_tier"]) == (64, "default")
        assert OpenAI.create(base_url=base_url, key=KEY)._cap == "max_completion_tokens"
    assert OpenAI.create(base_url="https://api.openai.com.evil.example/v1", key=KEY)._cap == "max_tokens"


def test_decisions_are_refused_before_anything_is_sent(server: GeminiServer, provider: OpenAI) -> None:
    before = server.requests()
    fault = fault_of(provider, ask("m-ok", config={"questions": {}}, endpoint="decide"))
    assert (fault.kind, fault.hint) == (FATAL, "judge with a model that writes: leave out --judge decision")
    assert fault_of(provider, ask("m-ok", prompt="a\ud800")).kind is ROW
    with pytest.raises(ValueError, match="no option temprature"):
        sent(provider, ask("m-ok", config={"temprature": 0}))
    with pytest.raises(ValueError, match="tier 'batch'"):
        sent(provider, ask("m-ok"), tier="batch")
    assert server.requests() == before


def test_user_and_password_are_used_and_never_told(server: GeminiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with opened(server.openai_url.replace("//", "//us%65r:pass%2Fword@") + "/", key=None) as login:
        assert login.name == f"openai:{server.openai_url}"
        assert login.project == server.openai_url
        assert sent(login, ask("m-ok")).text == "Paris"
        basic = base64.b64encode(b"user:pass/word").decode()
        assert server.seen[-1].headers["authorization"] == f"Basic {basic}"
        fault = fault_of(login, ask("m-echo"))
    texts = [*told(fault), caplog.text]
    assert not [text for text in texts for secret in ("pass/word", "pass%2Fword", basic) if secret in text]


def test_a_key_that_is_a_word_stays_in_answers(server: GeminiServer) -> None:
    with opened(server.openai_url, key="Paris") as provider:
        assert sent(provider, ask("m-ok")).text == "Paris"
        assert "Paris" not in fault_of(provider, ask("m-echo")).body


def test_without_a_key_a_server_is_asked_too(server: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with opened(server.openai_url, key=None) as keyless:
        assert sent(keyless, ask("m-ok")).text == "Paris"
    assert server.seen[-1].headers["authorization"] == "Bearer none"
    one, other = (OpenAI.create(base_url="http://a/v1", key=key).project for key in ("one", "other"))
    assert one != other


@pytest.mark.parametrize(
    "base_url",
    ["nowhere", "", "ftp://a/v1", "http://", "http://[::1/v1", "http://a:x/v1", "http://a b/v1", "http://s:cr3t@/v1"],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(base_url: str) -> None:
    with pytest.raises(OptionMissing, match=r"--base-url.*http://127\.0\.0\.1:8000/v1") as raised:
        OpenAI.create(base_url=base_url, key=None)
    assert "cr3t" not in str(raised.value)


def test_a_key_that_no_header_can_hold_is_refused() -> None:
    for key in ("sk-\N{EN DASH}1", "sk\x00"):
        with pytest.raises(OptionMissing, match="copy it again") as raised:
            OpenAI.create(base_url="http://a/v1", key=key)
        assert key not in str(raised.value)


def test_no_connection_costs_nothing(server: GeminiServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with opened(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as nobody:
            fault = fault_of(nobody, ask("m"))
    assert (fault.kind, fault.maybe_billed) == (TRANSIENT, False)


def test_one_provider_serves_many_loops_and_threads(server: GeminiServer) -> None:
    provider = OpenAI.create(base_url=server.openai_url, key=KEY)
    before, numbers = server.requests("m-ok"), count()

    async def several(close: bool) -> None:
        calls = [ask("m-ok", sample=next(numbers)) for _ in range(5)]
        await asyncio.gather(*(provider.send(call, timeout_s=5) for call in calls))
        if close:
            await provider.aclose()
            await provider.send(calls[0], timeout_s=5)

    # A loop that does not close is closed with it; anything left open would warn, and warnings are errors here.
    asyncio.run(several(close=False))
    asyncio.run(several(close=True))
    threads = [threading.Thread(target=asyncio.run, args=(several(close=i == 0),)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests("m-ok") - before == 4 * 5 + 2


def test_many_calls_are_in_flight_at_once(server: GeminiServer, provider: OpenAI) -> None:
    server.script({"crowd": Script(crowd=150)})

    async def all_at_once(n: int) -> list[str]:
        return await asyncio.gather(*(provider.send(ask("crowd"), timeout_s=60) for _ in range(n)))

    # With one fewer at once none would be answered.
    assert all("Paris" in body for body in LOOP.run(all_at_once(150)))


def test_a_cancelled_call_leaves_the_others_alone(provider: OpenAI) -> None:
    async def cancel_one() -> tuple[Any, ...]:
        slow = asyncio.create_task(provider.send(ask("m-slow"), timeout_s=5))
        await provider.send(ask("m-ok"), timeout_s=5)
        slow.cancel()
        return (*await asyncio.gather(slow, return_exceptions=True), await provider.send(ask("m-ok"), timeout_s=5))

    cancelled, body = LOOP.run(cancel_one())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert "Paris" in body
