"""Streams that other proxies spoilt: bytes, comments, silence, ends that are none; numbers are the reports'."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import openai
import pytest

from tests.deployments.router_service.conftest import Running, Start
from tests.deployments.router_service.raw_upstream import (
    STREAM_HEAD,
    Asked,
    Line,
    event,
    whole,
)
from tests.deployments.router_service.relaying import MESSAGES, asked, behave, client, pieces, post, streamed

STREAMED = {"model": "auto", "messages": MESSAGES, "stream": True}


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
    [row] = running.answers(1)
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
