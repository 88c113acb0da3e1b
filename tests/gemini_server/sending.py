"""How a response leaves, or fails to."""

import asyncio
import json
import socket
import struct

from aiohttp import web

from tests.gemini_server.refusals import Refusal


def refuse(refusal: Refusal) -> web.Response:
    """An HTTP error."""
    text = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
    return web.Response(
        status=refusal.status, text=text, headers=dict(refusal.headers), content_type=refusal.content_type
    )


def hang_up(http: web.BaseRequest, *, reset: bool) -> web.Response:
    """End the connection without a word, by FIN or by RST. What is returned goes nowhere."""
    if (transport := http.transport) is not None:
        if reset:
            # Lingering for zero seconds turns the close into a reset.
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


async def partly(http: web.BaseRequest, body: bytes, *, drip_s: float | None) -> web.StreamResponse:
    """Half of a body, then the end of the connection; or all of it, a byte at a time, spread over `drip_s`."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(http)
    if drip_s is None:
        await response.write(body[: len(body) // 2])
        if http.transport is not None:
            http.transport.close()
        return response
    try:
        for at in range(len(body)):
            await response.write(body[at : at + 1])
            await asyncio.sleep(drip_s / len(body))
    except ConnectionError:
        pass  # the client did not wait
    return response
