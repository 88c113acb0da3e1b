"""The model servers: requests go out as bytes, and answers come back as bytes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp

from routecal.deployments.router_service.service_settings import Timeouts, Upstream

# Of one hop (RFC 9110, 7.6.1), and what the client of either hop says of itself. `Connection` may name more.
HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade", "content-length", "host"),
}
# Of a client's headers, none but these go upstream: what authorises it here is nobody else's business.
FORWARDED = {"accept", "accept-encoding", "accept-language", "content-type", "user-agent", "traceparent", "tracestate"}


class UpstreamFailed(RuntimeError):
    """An upstream did not answer.

    Args:
        status: HTTP status that says so to the client.
        reason: the class of what happened, and its words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Upstreams:
    """One pool of connections to both model servers; made in the event loop that uses it."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_mark_reused)
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            trace_configs=[trace],
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=timeouts.total, sock_connect=timeouts.connect, sock_read=timeouts.idle),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What the client did not ask for would come compressed.
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()

    @asynccontextmanager
    async def answer(
        self, upstream: Upstream, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The head of an answer; its body is read by whoever asked.

        A connection that was kept and that the server closed meanwhile is tried once more, on another one: nothing of
        the request was answered. A fresh one is not, for the request may have been worked on, and billed.

        Raises:
            UpstreamFailed: no head came.
        """
        sent = self._headers(upstream, headers)
        for attempt in range(2):
            mark = SimpleNamespace(reused=False)
            try:
                request = self._session.post(
                    f"{upstream.base_url}{path}", data=body, headers=sent, trace_request_ctx=mark, allow_redirects=False
                )
                response = await asyncio.wait_for(request, self._timeouts.first_byte)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if attempt == 0 and mark.reused and not isinstance(error, aiohttp.ClientConnectorError):
                    continue
                raise UpstreamFailed(502, _words(error)) from error
            except TimeoutError as error:
                raise UpstreamFailed(
                    504, f"no answer within {self._timeouts.first_byte:g} s ({_name(error)})"
                ) from error
            except (aiohttp.ClientError, ValueError) as error:
                raise UpstreamFailed(502, _words(error)) from error
            try:
                yield response
            finally:
                if response.content.at_eof():
                    response.release()
                else:
                    response.close()
            return

    def _headers(self, upstream: Upstream, given: Mapping[str, str]) -> dict[str, str]:
        named = {name.strip().lower() for name in given.get("connection", "").split(",")}
        sent = {name: value for name, value in given.items() if name.lower() in FORWARDED - named}
        if key := upstream.api_key:
            sent["authorization"] = f"Bearer {key}"
        return sent


def relayed_headers(answer: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    """An upstream's headers that go on to the client: all but those of the hop."""
    headers = answer.headers
    named = {name.strip().lower() for value in headers.getall("connection", []) for name in value.split(",")}
    gone = HOP | named
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in headers.items()
        if name.lower() not in gone
    ]


async def _mark_reused(session: Any, context: Any, params: Any) -> None:
    if isinstance(mark := context.trace_request_ctx, SimpleNamespace):
        mark.reused = True


def _name(error: BaseException) -> str:
    return type(error).__name__


def _words(error: BaseException) -> str:
    return f"{_name(error)}: {' '.join(str(error).split())[:300]}"
