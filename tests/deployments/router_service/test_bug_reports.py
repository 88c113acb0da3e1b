"""Requests and answers that other proxies spoilt: time, clients, heads, keys, bodies; numbers are the reports'."""

import gzip
import json
import socket
from typing import Any

import httpx
import pytest

from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Running, Start, until
from tests.deployments.router_service.raw_upstream import (
    STREAM_HEAD,
    Asked,
    Line,
    RawUpstream,
    answers,
    completion,
    event,
    whole,
)
from tests.deployments.router_service.relaying import MESSAGES, asked, behave, post, respond


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
    assert running.answers(1)[0]["outcome"] == "cancelled"


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
    assert running.answers(1)[0]["answered_by"] == "flash-old"
    text = httpx.get(f"{running.url}/metrics").text
    assert 'routecal_other_model_answered_total{model="' in text
