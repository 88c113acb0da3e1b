"""An upstream's answer on its way to the client: the same bytes, in the same order, as they come.

A stream's head goes out with its first byte. An answer in one piece is held until it is whole, so that one which breaks
off becomes an error and not half an answer with status 200; a stream that breaks off ends with an error event and
without `[DONE]`, since its head is gone.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from routecal.deployments.router_service.refusals import said_wrong
from routecal.deployments.router_service.service_settings import Upstream
from routecal.deployments.router_service.upstream import UpstreamFailed, Upstreams, relayed_headers

Headers = list[tuple[bytes, bytes]]
EVENTS = "text/event-stream"
# What is kept of an answer for the log: the model's name stands at its beginning, usage at its end.
FIRST, LAST = 1 << 20, 1 << 16


class Kept:
    """The first and the last bytes of an answer, without copying what passes."""

    def __init__(self) -> None:
        self._first, self._last = list[bytes](), deque[bytes]()
        self._n_first = self._n_last = 0

    def add(self, chunk: bytes) -> None:
        """One more piece."""
        if self._n_first < FIRST:
            self._first.append(chunk)
            self._n_first += len(chunk)
            return
        self._last.append(chunk)
        self._n_last += len(chunk)
        while self._n_last - len(self._last[0]) > LAST:
            self._n_last -= len(self._last.popleft())

    @property
    def text(self) -> bytes:
        """What is kept; a line is broken where something was not."""
        return b"".join(self._first) + (b"\n" + b"".join(self._last) if self._last else b"")


@dataclass
class Relayed:
    """How an answer went.

    Attributes:
        status: HTTP status that the client saw; 499 where it had gone before there was one.
        outcome: ok, cancelled (the client went away), failed (upstream did not answer, or broke off).
        reason: of a failure.
        kept: the first and the last bytes of the answer, as they came.
    """

    status: int = 499
    outcome: str = "cancelled"
    reason: str = ""
    content_encoding: str = ""
    kept: Kept = field(default_factory=Kept)


class Relay(Response):
    """A response that relays one request.

    Args:
        upstreams, upstream, path, body: what is asked where.
        headers: of the client's request, names in lower case.
        added: headers that every answer gets, errors too.
        ended: called once with how it went.
        keep_alive_s: of a request to stream, seconds of silence before the first byte after which a comment is sent,
            again and again; the head goes out with the first, so that what fails later is an event. None: never.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        upstream: Upstream,
        path: str,
        body: bytes,
        headers: dict[str, str],
        added: Sequence[tuple[str, str]],
        ended: Callable[[Relayed], None] = lambda relayed: None,
        keep_alive_s: float | None = None,
    ) -> None:
        super().__init__()
        if keep_alive_s is not None:
            # What is compressed cannot follow a comment that is not.
            headers = {name: value for name, value in headers.items() if name != "accept-encoding"}
        self._keep_alive_s, self._has_begun = keep_alive_s, False
        self._upstreams, self._upstream, self._path, self._asked = upstreams, upstream, path, body
        self._sent_headers, self._ended = headers, ended
        self._added: Headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in added]
        self._relayed = Relayed()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Relay until the answer ends, or the client goes away: then upstream is told at once."""
        relaying = asyncio.ensure_future(self._relay(send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({relaying, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if relaying.done():
                relaying.result()
        finally:
            for task in (relaying, leaving):
                task.cancel()
            await asyncio.gather(relaying, leaving, return_exceptions=True)
            self._ended(self._relayed)

    async def _relay(self, send: Send) -> None:
        beats = asyncio.ensure_future(self._beat(send))
        try:
            async with self._upstreams.answer(self._upstream, self._path, self._asked, self._sent_headers) as answer:
                await _end(beats)
                kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                self._relayed.content_encoding = answer.headers.get("content-encoding", "")
                await (self._stream if kind == EVENTS else self._whole)(answer, send)
        except UpstreamFailed as failed:
            await _end(beats)
            self._relayed.reason, self._relayed.outcome = failed.reason, "failed"
            said = said_wrong(f"{self._upstream.model} did not answer: {failed.reason}", "upstream_error")
            self._relayed.status = failed.status
            await self._say(send, failed.status, [(b"content-type", b"application/json")], json.dumps(said).encode())
        finally:
            await _end(beats)

    async def _beat(self, send: Send) -> None:
        while self._keep_alive_s is not None:
            await asyncio.sleep(self._keep_alive_s)
            await self._begin(send, 200, [(b"content-type", EVENTS.encode())])
            # One line: the empty line that ends an event would end one that is empty.
            await send(_part(b": keep-alive\n"))

    async def _begin(self, send: Send, status: int, headers: Headers) -> None:
        if not self._has_begun:
            self._has_begun = True
            message = {"type": "http.response.start", "status": status, "headers": [*headers, *self._added]}
            await send(message)

    async def _say(self, send: Send, status: int, headers: Headers, body: bytes) -> None:
        """A response in one piece; where its head is gone, an event."""
        if self._has_begun:
            await send({"type": "http.response.body", "body": b"data: " + b" ".join(body.split(b"\n")) + b"\n\n"})
            return
        await self._begin(send, status, [*headers, (b"content-length", str(len(body)).encode())])
        await send({"type": "http.response.body", "body": body})

    async def _whole(self, answer: aiohttp.ClientResponse, send: Send) -> None:
        try:
            body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamFailed(502, f"the answer broke off ({type(error).__name__})") from error
        if not body and answer.status == 200:
            raise UpstreamFailed(502, "the answer is empty")
        self._relayed.status = answer.status
        self._relayed.kept.add(body)
        self._relayed.outcome = "ok" if answer.status < 500 else "failed"
        await self._say(send, answer.status, relayed_headers(answer), body)

    async def _stream(self, answer: aiohttp.ClientResponse, send: Send) -> None:
        self._relayed.status = answer.status
        await self._begin(send, answer.status, relayed_headers(answer))
        try:
            async for chunk in answer.content.iter_any():
                self._relayed.kept.add(chunk)
                await send(_part(chunk))
        except (aiohttp.ClientError, TimeoutError) as error:
            self._relayed.outcome, self._relayed.reason = "failed", type(error).__name__
            # What came before it broke off, and aiohttp has not handed out.
            for chunk in getattr(answer.content, "_buffer", ()):
                self._relayed.kept.add(chunk)
                await send(_part(chunk))
            if not self._relayed.content_encoding:
                said = said_wrong(f"the answer broke off ({type(error).__name__})", "upstream_error")
                await send(_part(f"\n\ndata: {json.dumps(said)}\n\n".encode()))
        else:
            self._relayed.outcome = "ok"
        await send({"type": "http.response.body", "body": b""})


def _part(chunk: bytes) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


async def _end(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
