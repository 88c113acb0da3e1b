"""Requests through the service, and model servers that send what a test says."""

import asyncio
from typing import Any

import httpx
import openai

from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Running
from tests.deployments.router_service.raw_upstream import (
    STREAM_HEAD,
    Asked,
    Behave,
    Line,
)

MESSAGES: Any = [{"role": "user", "content": QUERIES[0]}]


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
