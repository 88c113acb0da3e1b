"""A model server on loopback that sends what a test says, byte by byte, and remembers what it was asked."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """The first of this name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


Behave = Callable[["Asked", "Line"], Awaitable[None]]


class Line:
    """The way back to whoever asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """These bytes, now."""
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """One chunk of a chunked body."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        """The last chunk."""
        await self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        """RST instead of an orderly end."""
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Until the other side has closed."""
        while await self.reader.read(1024):
            pass


def whole(body: bytes, *, status: str = "200 OK", more: str = "") -> bytes:
    """A response in one piece."""
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode()
        + body
    )


def completion(text: str = "It is Baikal.", *, model: str = "flash", **more: Any) -> bytes:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    said = {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": choices, "usage": usage}
    return json.dumps(said | more).encode()


def event(text: str, *, model: str = "flash", finish: str | None = None, **more: Any) -> bytes:
    """One event of a stream."""
    choices = [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}]
    said = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices} | more
    return b"data: " + json.dumps(said, ensure_ascii=False).encode() + b"\n\n"


async def answers(asked: Asked, line: Line) -> None:
    """A completion, or a stream of three events, as was asked for."""
    if asked.json.get("stream"):
        await line.send(STREAM_HEAD)
        for part in (event("It is "), event("Baikal.", finish="stop"), b"data: [DONE]\n\n"):
            await line.chunk(part)
        await line.end()
    else:
        await line.send(whole(completion(model=asked.json["model"])))


@dataclass
class RawUpstream:
    """What it does next, and what it was asked."""

    behave: Behave = answers
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    open_now: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        """As `base_url` has it."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.open_now += 1
        connection = self.connections
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")[:-2]
                headers = [(name, value.strip()) for name, _, value in (one.partition(":") for one in lines)]
                length = int(next((value for name, value in headers if name.lower() == "content-length"), 0))
                body = await reader.readexactly(length)
                asked = Asked(first.split(" ")[1], headers, body, connection)
                self.asked.append(asked)
                await self.behave(asked, Line(reader, writer))
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            writer.close()


@contextmanager
def raw_upstream(behave: Behave = answers) -> Iterator[RawUpstream]:
    """One that answers, on a free port, in a thread of its own."""
    upstream, ready, loop = RawUpstream(behave), threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 24)
        upstream.port = server.sockets[0].getsockname()[1]
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    def thread() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(run())
        loop.run_forever()
        for left in asyncio.all_tasks(loop):
            left.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        assert task.done()
        loop.close()

    runner = threading.Thread(target=thread, daemon=True)
    runner.start()
    assert ready.wait(10)
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(loop.stop)
        runner.join(10)
