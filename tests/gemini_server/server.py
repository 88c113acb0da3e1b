"""A server on loopback that speaks the Gemini API, for tests and benchmarks only."""

import asyncio
import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from aiohttp import web

from tests.gemini_server import wire
from tests.gemini_server.answers import Answers, Respond
from tests.gemini_server.refusals import REFUSALS, Refusal, error
from tests.gemini_server.replying import body_of
from tests.gemini_server.scripts import Playing, Script
from tests.gemini_server.wire import Request

# Steps that end the connection instead of answering: the request was not served.
UNSERVED = {"fin", "rst"}


class GeminiServer:
    """The server; `async with GeminiServer(...) as server:` runs it in the running loop.

    A model without a script does what its name says (`Script.named`), which mostly is to answer.

    Args:
        scripts: by model name.
        respond: text of an answer, by request.
        port: 0 for any that is free.
        keys: the API keys it takes; every key when empty.
        keep: how many of the last requests `seen` holds.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] = {},
        *,
        respond: Respond | None = None,
        port: int = 0,
        keys: frozenset[str] = frozenset(),
        keep: int = 1000,
    ) -> None:
        self.respond: Respond = respond or Answers()
        self.keys, self._port = keys, port
        self.seen: deque[Request] = deque(maxlen=keep)
        self.statuses: Counter[str] = Counter()  # "model status", "model fin" …
        self.billed: Counter[bytes] = Counter()  # digest of the request -> how often it was served
        self.in_flight = self.max_in_flight = 0
        self._playing: dict[str, Playing] = {}
        self._runner: web.ServerRunner | None = None
        self.script(scripts)

    def script(self, scripts: Mapping[str, Script]) -> None:
        """Give some models a new script; what they did so far is forgotten, the counts are not."""
        self._playing |= {model: Playing(script) for model, script in scripts.items()}

    @property
    def url(self) -> str:
        """Base URL of the Gemini protocol."""
        assert self._runner, "the server is not running"
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    @property
    def openai_url(self) -> str:
        """Base URL of OpenAI's protocol."""
        return f"{self.url}/openai/v1"

    def requests(self, model: str = "") -> int:
        """Requests to a model, or to all."""
        return sum(n for name, n in self.statuses.items() if not model or name.rpartition(" ")[0] == model)

    def stats(self) -> dict[str, Any]:
        """Counts, as `GET /_stats` gives them. `billed_twice` counts calls beyond the first of each equal request."""
        statuses: Counter[str] = Counter()
        models: dict[str, dict[str, int]] = {}
        for name, n in self.statuses.items():
            model, _, status = name.rpartition(" ")
            statuses[status] += n
            models.setdefault(model, {})[status] = n
        return {
            "requests": sum(statuses.values()),
            "statuses": dict(statuses),
            "models": models,
            "billed": self.billed.total(),
            "billed_once": len(self.billed),
            "billed_twice": self.billed.total() - len(self.billed),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
        }

    async def __aenter__(self) -> Self:
        # No access log, no URL dispatcher: the server must cost less than the client under test.
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=2048).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        # A `slow` request may have a minute to go; nobody waits for it.
        self._runner._shutdown_timeout = 0.05
        await self._runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        if http.path.startswith("/_"):
            return await self._control(http)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            return await self._route(http)
        finally:
            self.in_flight -= 1

    async def _route(self, http: web.BaseRequest) -> web.StreamResponse:
        path = http.path
        if self.keys and http.headers.get("x-goog-api-key", "") not in self.keys:
            return self._refuse("", REFUSALS["400-key"]())
        raw = await http.read()
        rest = {"path": path, "headers": {k.lower(): v for k, v in http.headers.items()}}
        if match := wire.MODEL_CALL.match(path):
            if match["method"] == "generateContent":
                return await self._play(wire.read_generate(match["model"], json.loads(raw), **rest), http)
        elif wire.DECISIONS.match(path):
            return await self._play(wire.read_decide(json.loads(raw), **rest), http)
        elif path == wire.CHAT:
            return await self._play(wire.read_chat(json.loads(raw), **rest), http)
        return self._refuse("", error(404, "NOT_FOUND", f"there is no {path}"))

    async def _play(self, request: Request, http: web.BaseRequest) -> web.StreamResponse:
        playing = self._playing.get(request.model)
        if playing is None:
            playing = self._playing[request.model] = Playing(Script.named(request.model))
        self.seen.append(request)
        step = playing.next(request.tokens, time.monotonic())
        served = isinstance(step, str) and step not in REFUSALS and step not in UNSERVED
        if served:
            # Billed on arrival: a client that is killed while it waits has to pay too.
            self.billed[request.digest] += 1
        if latency_s := playing.latency_s():
            await asyncio.sleep(latency_s)
        if not served:
            return self._refuse(request.model, step, http)
        self.statuses[f"{request.model} 200"] += 1
        if step == "slow":
            await asyncio.sleep(playing.script.slow_s)
        body = body_of(request, str(step), playing, self.respond)
        if step in ("cut", "drip"):
            return await _partly(http, body, drip_s=playing.script.slow_s if step == "drip" else None)
        return web.Response(body=body, content_type="text/html" if step == "html" else "application/json")

    def _refuse(self, model: str, what: str | Refusal, http: web.BaseRequest | None = None) -> web.StreamResponse:
        if isinstance(what, str) and what in UNSERVED:
            self.statuses[f"{model} {what}"] += 1
            if http is not None and (transport := http.transport) is not None:
                if what == "rst":
                    # Lingering for zero seconds turns the close into a reset.
                    linger = struct.pack("ii", 1, 0)
                    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                transport.abort()
            return web.Response()
        refusal = REFUSALS[what]() if isinstance(what, str) else what
        self.statuses[f"{model} {refusal.status}"] += 1
        text = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
        return web.Response(
            status=refusal.status, text=text, headers=dict(refusal.headers), content_type=refusal.content_type
        )

    async def _control(self, http: web.BaseRequest) -> web.Response:
        """`GET /_stats`, and `POST /_script` with {model: script}."""
        if http.path == "/_script":
            self.script({model: Script.of(values) for model, values in json.loads(await http.read()).items()})
        return web.json_response(self.stats())


async def _partly(http: web.BaseRequest, body: bytes, *, drip_s: float | None) -> web.StreamResponse:
    """Half of a body, then the end of the connection; or all of it, a byte at a time, spread over `drip_s`."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(http)
    if drip_s is None:
        await response.write(body[: len(body) // 2])
        assert http.transport
        http.transport.close()
        return response
    try:
        for at in range(len(body)):
            await response.write(body[at : at + 1])
            await asyncio.sleep(drip_s / len(body))
    except ConnectionError:
        pass  # the client did not wait
    return response


@contextmanager
def serving(*args: Any, **kwargs: Any) -> Iterator[GeminiServer]:
    """The server in a thread with a loop of its own, for callers that are not asynchronous or use several loops."""
    started: threading.Event = threading.Event()
    stop: list[Any] = []
    server = GeminiServer(*args, **kwargs)

    async def run() -> None:
        async with server:
            done = asyncio.Event()
            stop.extend((asyncio.get_running_loop(), done))
            started.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="gemini-server")
    thread.start()
    try:
        assert started.wait(10), "the server did not start"
        yield server
    finally:
        stop[0].call_soon_threadsafe(stop[1].set)
        thread.join(10)
