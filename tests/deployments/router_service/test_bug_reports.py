"""What other proxies were reported for, tried on ours; the numbers are those of the reports."""

import asyncio
import gzip
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.calib.test_calibrated_router import QUERIES
from tests.deployments.router_service.conftest import Running, Start
from tests.deployments.router_service.raw_upstream import (
    STREAM_HEAD,
    Asked,
    Behave,
    Line,
    RawUpstream,
    answers,
    completion,
    event,
    whole,
)
from tests.patience import PATIENCE_S

MESSAGES: Any = [{"role": "user", "content": QUERIES[0]}]
STREAMED = {"model": "auto", "messages": MESSAGES, "stream": True}


def behave(running: Running, how: Behave) -> None:
    """Both models."""
    running.medium.behave = running.large.behave = how


def post(running: Running, *, read: float = 30, **more: Any) -> httpx.Response:
    body = {"model": "auto", "messages": MESSAGES} | more
    return httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=read)


def streamed(running: Running) -> bytes:
    return post(running, stream=True).content


def client(running: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)


def asked(running: Running) -> list[Asked]:
    return [*running.medium.asked, *running.large.asked]


def until(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def pieces(data: bytes, size: int = 1, *, pause_s: float = 0.0) -> Behave:
    """A stream of these bytes, so many in a chunk."""

    async def behaviour(_: Asked, line: Line) -> None:
        await line.send(STREAM_HEAD)
        for i in range(0, len(data), size):
            await line.chunk(data[i : i + size])
            await asyncio.sleep(pause_s)
        await line.end()

    return behaviour


def respond(data: bytes, *, close: bool = False) -> Behave:
    """These bytes, head and all."""

    async def behaviour(_: Asked, line: Line) -> None:
        await line.send(data)
        if close:
            line.writer.close()

    return behaviour


# ---- 1 to 4, 15, 16: streams are bytes


def test_01_events_that_come_byte_by_byte_are_the_same_bytes(running: Running) -> None:
    data = event("It is «Baikal»\\n", finish="stop") + b"data: [DONE]\n\n"
    behave(running, pieces(data))
    assert streamed(running) == data


def test_02_letters_of_several_bytes_are_cut_anywhere(running: Running) -> None:
    data = b"".join(event(text) for text in ("湖は", "🏔️👩‍🔬", "Байкал")) + b"data: [DONE]\n\n"
    for size in range(1, 12):
        behave(running, pieces(data, size))
        assert hashlib.sha256(streamed(running)).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("comment", [b": OPENROUTER PROCESSING\n\n", b": ping\n\n", b"id: 7\n: ping\n\n"])
def test_03_and_04_comments_stay_comments(comment: bytes, running: Running) -> None:
    data = comment + event("It is ") + comment + event("Baikal.", finish="stop") + b"data: [DONE]\n\n"
    behave(running, pieces(data, 40))
    assert streamed(running) == data
    if comment.startswith(b"id"):  # an event of an id alone, which the openai package cannot read from anybody
        return
    stream = client(running).chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is Baikal."


def test_15_the_chunk_of_usage_is_whole_and_logged(running: Running) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    data = event("Baikal.", finish="stop") + event("", choices=[], usage=usage) + b"data: [DONE]\n\n"
    behave(running, pieces(data, 30))
    assert streamed(running) == data
    until(lambda: running.rows("answers"))
    [row] = running.rows("answers")
    assert (row["tokens_input"], row["tokens_output"], row["answered_by"]) == (11, 5, "flash")


def test_16_tool_calls_in_parts_are_put_together_by_the_client(running: Running) -> None:
    def part(**call: Any) -> bytes:
        return event(
            "", choices=[{"index": 0, "delta": {"content": None, "tool_calls": [call]}, "finish_reason": None}]
        )

    data = (
        part(index=0, id="t1", type="function", function={"name": "find", "arguments": ""})
        + part(index=0, id=None, function={"name": None, "arguments": '{"lake"'})
        + part(index=0, function={"arguments": ': "Baikal"}'})
        + b"data: [DONE]\n\n"
    )
    behave(running, pieces(data, 17))
    assert streamed(running) == data
    stream = client(running).chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    calls = [call for chunk in stream for call in (chunk.choices[0].delta.tool_calls or [])]
    assert json.loads("".join(call.function.arguments or "" for call in calls if call.function)) == {"lake": "Baikal"}


# ---- 5 to 7: time


def test_05_a_silent_model_is_bridged_by_comments_where_that_is_asked_for(start: Start) -> None:
    data = event("Baikal.", finish="stop") + b"data: [DONE]\n\n"

    async def late(_: Asked, line: Line) -> None:
        await asyncio.sleep(1.0)
        await pieces(data)(_, line)

    async def late_and_wrong(_: Asked, line: Line) -> None:
        await asyncio.sleep(1.0)
        await line.send(whole(b'{"error": {"message": "busy",\n "type": "x"}}', status="503 Busy"))

    with start(keep_alive_s=0.3) as running:
        behave(running, late)
        with httpx.stream("POST", f"{running.url}/v1/chat/completions", json=STREAMED, timeout=30) as said:
            assert said.headers["x-routecal-status"] == "ok"
            parts = b"".join(said.iter_raw())
        assert parts.endswith(data)
        assert set(parts.removesuffix(data).split(b"\n")) == {b": keep-alive", b""}
        stream = client(running).chat.completions.create(model="auto", messages=MESSAGES, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Baikal."
        assert all(one.header("accept-encoding") is None for one in asked(running))
        # The head is gone: the error is an event, and nothing says that the answer is done.
        behave(running, late_and_wrong)
        with pytest.raises(openai.APIError, match="busy"):
            list(client(running).chat.completions.create(model="auto", messages=MESSAGES, stream=True))
        # What is not to be streamed waits, and has its own status.
        assert post(running).status_code == 503


def test_06_a_pause_in_a_stream_is_no_end(running: Running) -> None:
    data = event("It is ") + event("Baikal.", finish="stop") + b"data: [DONE]\n\n"
    behave(running, pieces(data, len(event("It is ")), pause_s=1.5))
    assert streamed(running) == data


@pytest.mark.parametrize("what", ["first_byte", "connect"])
def test_07_each_timeout_is_a_setting_and_named(what: str, start: Start) -> None:
    async def silent(_: Asked, line: Line) -> None:
        await line.gone()

    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # A port whose queue is full lets nobody connect.
        taken = [socket.socket() for _ in range(4)]
        for one in taken:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        more: dict[str, Any] = {"timeouts": {what: 0.3}}
        if what == "connect":
            dead = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            more |= {name: {"base_url": dead, "model": name} for name in ("medium", "large")}
        with start(**more) as running:
            behave(running, silent)
            said = post(running)
            assert (said.status_code, said.json()["error"]["type"]) == (504, "upstream_error")
            assert "Timeout" in said.json()["error"]["message"]
        for one in taken:
            one.close()


def test_07_an_idle_stream_ends_with_an_error(start: Start) -> None:
    async def stalls(_: Asked, line: Line) -> None:
        await line.send(STREAM_HEAD)
        await line.chunk(event("It is "))
        await line.gone()

    with start(timeouts={"idle": 0.3}) as running:
        behave(running, stalls)
        data = streamed(running)
        assert b"Timeout" in data.rpartition(b"data: ")[2]
        assert b"[DONE]" not in data


# ---- 8 to 10: clients that leave


@pytest.mark.parametrize("stream", [True, False])
def test_08_and_09_a_client_that_leaves_frees_the_model_at_once(stream: bool, running: Running) -> None:
    async def slow(_: Asked, line: Line) -> None:
        if stream:
            await line.send(STREAM_HEAD)
            await line.chunk(event("It is "))
        await line.gone()
        line.writer.close()

    behave(running, slow)
    with pytest.raises(httpx.ReadTimeout):
        post(running, read=0.5, stream=stream)
    until(lambda: running.medium.open_now + running.large.open_now == 0)
    until(lambda: running.rows("answers"))
    assert running.rows("answers")[0]["outcome"] == "cancelled"


def test_10_nothing_hides_that_a_client_left(running: Running) -> None:
    from starlette.middleware.base import BaseHTTPMiddleware

    from routecal.deployments.router_service.app import application

    for one in application(running.service).user_middleware:
        assert not issubclass(one.cls, BaseHTTPMiddleware)  # type: ignore[arg-type]


# ---- 11 to 14: heads


@pytest.mark.parametrize("stream", [True, False])
def test_11_what_is_compressed_is_decoded_once_by_the_client(stream: bool, running: Running) -> None:
    data = event("Baikal.", finish="stop") + b"data: [DONE]\n\n" if stream else completion()
    packed, kind = gzip.compress(data), "text/event-stream" if stream else "application/json"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
    behave(running, respond(head.encode() + packed))
    said = post(running, stream=stream)
    assert said.content == data
    assert said.headers["content-encoding"] == "gzip"


def test_12_headers_of_the_hop_stay_on_it(running: Running) -> None:
    more = "connection: x-secret\r\nx-secret: 1\r\nkeep-alive: timeout=5\r\nx-kept: 2\r\n"
    behave(running, respond(whole(completion(), more=more)))
    said = post(running)
    assert (said.headers.get("x-secret"), said.headers["x-kept"], said.headers.get("keep-alive")) == (None, "2", None)
    assert "transfer-encoding" not in said.headers
    assert int(said.headers["content-length"]) == len(said.content)


@pytest.mark.parametrize("lie", [b"999999", b"5"])
def test_12_a_length_that_is_a_lie_is_no_half_answer(lie: bytes, running: Running) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + lie + b"\r\n\r\n"
    behave(running, respond(head + completion(), close=True))
    said = post(running)
    assert said.status_code == 502
    assert said.json()["error"]["type"] == "upstream_error"


@pytest.mark.parametrize("end", ["reset", "close"])
def test_13_a_stream_that_breaks_off_says_so_and_is_not_done(end: str, running: Running) -> None:
    async def dies(_: Asked, line: Line) -> None:
        await line.send(STREAM_HEAD)
        await line.chunk(event("It is "))
        await line.chunk(event("Bai"))
        if end == "reset":
            line.reset()
        else:
            line.writer.close()

    behave(running, dies)
    data = streamed(running)
    assert data.startswith(event("It is ") + event("Bai"))
    assert json.loads(data.rpartition(b"data: ")[2])["error"]["type"] == "upstream_error"
    assert b"[DONE]" not in data
    with pytest.raises(openai.APIError, match="broke off"):
        list(client(running).chat.completions.create(model="auto", messages=MESSAGES, stream=True))


@pytest.mark.parametrize("status", ["400 Bad Request", "429 Too Many Requests", "503 Service Unavailable", "422 No"])
@pytest.mark.parametrize("stream", [True, False])
def test_14_and_22_an_error_of_the_model_s_server_is_that_error(status: str, stream: bool, running: Running) -> None:
    body = json.dumps({"error": {"message": "no", "type": "x"}}).encode()
    behave(running, respond(whole(body, status=status, more="retry-after: 7\r\n")))
    said = post(running, stream=stream)
    assert (said.status_code, said.content) == (int(status[:3]), body)
    assert (said.headers["retry-after"], said.headers["content-type"]) == ("7", "application/json")
    assert "x-routecal-decision-id" in said.headers


def test_22_an_empty_answer_is_never_a_good_one(running: Running) -> None:
    behave(running, respond(whole(b"")))
    assert post(running).status_code == 502


# ---- 17, 18, 20, 21: what goes upstream


def test_17_keys_stay_on_their_side(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "up-secret")
    with start() as running:
        both = {
            name: {"base_url": one.url, "model": model, "api_key_env": "UPSTREAM_KEY"}
            for name, one, model in (("medium", running.medium, "flash"), ("large", running.large, "pro"))
        }
        with start(**both) as keyed:
            headers = {"authorization": "Bearer client-secret", "x-api-key": "also", "x-stainless-os": "Linux"}
            body = {"model": "auto", "messages": MESSAGES}
            said = httpx.post(f"{keyed.url}/v1/chat/completions", json=body, headers=headers)
            [one] = asked(running)
            assert one.header("authorization") == "Bearer up-secret"
            assert "secret" not in "".join(value for name, value in one.headers if name.lower() != "authorization")
            assert {name.lower() for name, _ in one.headers} & {"x-api-key", "x-stainless-os"} == set()
            assert "up-secret" not in str(said.headers) + said.text
            assert "secret" not in json.dumps(keyed.rows("decisions") + keyed.rows("answers"), default=str)


@pytest.mark.parametrize("name", ["api_key", "api_base", "base_url", "extra_headers"])
def test_18_a_body_cannot_redirect_a_request(name: str, running: Running) -> None:
    said = post(running, **{name: "http://127.0.0.1:1"})
    assert (said.status_code, name in said.json()["error"]["message"]) == (400, True)
    assert not asked(running)
    assert post(running).status_code == 200


def test_20_and_21_all_else_goes_as_it_came(running: Running) -> None:
    more = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [None, {"b": 1.50}]}}}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": QUERIES[0]}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "4"},
        ],
        "brand_new": {"deep": [1, None, "ü"]},
        "stop": None,
    }
    said = post(running, **more)
    [one] = asked(running)
    assert one.json == {"model": said.headers["x-routecal-model"]} | more
    assert running.rows("decisions")[0]["query"] == QUERIES[0]


def test_19_a_connection_that_went_stale_is_tried_once_more_and_a_fresh_one_is_not(running: Running) -> None:
    model = post(running).headers["x-routecal-model"]
    upstream: RawUpstream = {"flash": running.medium, "pro": running.large}[model]

    async def closes_old_ones(one: Asked, line: Line) -> None:
        if one.connection == 1:
            line.writer.close()
        else:
            await answers(one, line)

    upstream.behave = closes_old_ones
    assert post(running).status_code == 200
    assert [one.connection for one in upstream.asked] == [1, 1, 2]

    async def closes(_: Asked, line: Line) -> None:
        line.writer.close()

    upstream.behave = closes
    upstream.asked.clear()
    assert post(running).status_code == 502
    # The one that was kept, and one fresh one.
    assert len(upstream.asked) == 2


@pytest.mark.parametrize("more", [{}, {"stream": False}, {"stream": None}])
def test_23_without_a_wish_to_stream_nothing_is_streamed(more: dict[str, Any], running: Running) -> None:
    said = post(running, **more)
    assert said.headers["content-type"] == "application/json"
    assert said.json()["choices"][0]["message"]["content"] == "It is Baikal."


def test_26_another_model_that_answers_is_logged_as_itself_and_counted(running: Running) -> None:
    behave(running, respond(whole(completion(model="flash-old"))))
    post(running)
    assert running.rows("answers")[0]["answered_by"] == "flash-old"
    text = httpx.get(f"{running.url}/metrics").text
    assert 'routecal_other_model_answered_total{model="' in text


@pytest.fixture
def _no_leak(running: Running) -> Iterator[None]:
    yield
    assert running.medium.open_now <= 1
