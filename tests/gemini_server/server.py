"""A server on loopback that speaks the Gemini API, for tests and benchmarks only."""

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from aiohttp import web

from tests.gemini_server import wire
from tests.gemini_server.answers import Answers, Respond
from tests.gemini_server.batches import BATCHES, Batches
from tests.gemini_server.files import FILES, UPLOAD, Files
from tests.gemini_server.refusals import REFUSALS, Refusal, error
from tests.gemini_server.replying import body_of
from tests.gemini_server.scripts import Playing, Script
from tests.gemini_server.sending import hang_up, partly, refuse
from tests.gemini_server.wire import Request

# Steps that end the connection instead of answering: the request was not served.
UNSERVED = {"fin", "rst"}


class GeminiServer:
    """The server; `async with GeminiServer(...) as server:` runs it in the running loop.

    A model without a script does what its name says (`Script.named`), which mostly is to answer. Scripts for the names
    `upload`, `download`, `file`, `poll`, `list` and `cancel` hinder those operations.

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
        self.in_flight = 0
        # Changes a body on its way out, to whatever else a server may send.
        self.rewrite: Callable[[Request, bytes], bytes] = lambda request, body: body
        self.files = Files()
        self.batches = Batches(self.files, lambda: self.respond, self.billed)
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
            "batches": [
                {"model": j.model, "name": j.display_name, "state": j.state} for j in self.batches.jobs.values()
            ],
        }

    async def __aenter__(self) -> Self:
        # No access log, no URL dispatcher: the server must cost less than the client under test.
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None, request_factory=_any_size))
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
        try:
            return await self._route(http)
        finally:
            self.in_flight -= 1

    async def _route(self, http: web.BaseRequest) -> web.StreamResponse:
        path = http.path
        if self.keys and http.headers.get("x-goog-api-key", "") not in self.keys:
            return self._refuse("", REFUSALS["400-key"](), http)
        if match := wire.MODEL_CALL.match(path):
            if match["method"] == "batchGenerateContent":
                return await self._create_batch(match["model"], http)
            if match["method"] == "generateContent":
                return await self._play(wire.read_generate(match["model"], *await _read(http)), http)
        elif wire.DECISIONS.match(path):
            return await self._play(wire.read_decide(*await _read(http)), http)
        elif path == wire.CHAT:
            return await self._play(wire.read_chat(*await _read(http)), http)
        elif match := BATCHES.match(path):
            name = "list" if match["name"] is None else "cancel" if match["cancel"] else "poll"
            return self._hindered(name, http) or self.batches.serve(http, match["name"], bool(match["cancel"]))
        elif UPLOAD.match(path):
            return self._hindered("upload", http) or await self.files.upload(http)
        elif match := FILES.match(path.removeprefix("/download")):
            download = bool(match["download"])
            name = "download" if download else "file"
            return self._hindered(name, http) or self.files.serve(http, match["name"], download)
        return self._refuse("", error(404, "NOT_FOUND", f"there is no {path}"), http)

    async def _play(self, request: Request, http: web.BaseRequest) -> web.StreamResponse:
        playing = self._played(request.model)
        self.seen.append(request)
        step = playing.next(request.tokens, time.monotonic())
        served = isinstance(step, str) and step not in REFUSALS and step not in UNSERVED
        if served:
            # Billed on arrival: a client that is killed while it waits has to pay too.
            self.billed[request.digest] += 1
        if latency_s := playing.latency_s():
            await asyncio.sleep(latency_s)
        await playing.crowd()
        if not served:
            return self._refuse(request.model, step, http)
        self.statuses[f"{request.model} 200"] += 1
        if step == "slow":
            await asyncio.sleep(playing.script.slow_s)
        body = self.rewrite(request, body_of(request, str(step), playing, self.respond))
        if step in ("cut", "drip"):
            return await partly(http, body, drip_s=playing.script.slow_s if step == "drip" else None)
        return web.Response(body=body, content_type="text/html" if step in ("html", "echo") else "application/json")

    async def _create_batch(self, model: str, http: web.BaseRequest) -> web.StreamResponse:
        body, playing = json.loads(await http.read()), self._played(model)
        step = playing.next_create()
        if step in REFUSALS:
            return self._refuse(f"{model}:batch", step, http)
        made = self.batches.create(model, body, playing)
        if isinstance(made, Refusal) or step in UNSERVED:
            return self._refuse(f"{model}:batch", made if isinstance(made, Refusal) else step, http)
        self.statuses[f"{model}:batch 200"] += 1
        return web.json_response(made)

    def _played(self, model: str) -> Playing:
        if model not in self._playing:
            self._playing[model] = Playing(Script.named(model))
        return self._playing[model]

    def _hindered(self, name: str, http: web.BaseRequest) -> web.StreamResponse | None:
        """An operation on files or batches that a script named for it makes fail; None if it may go on."""
        step = self._playing[name].next(0, time.monotonic()) if name in self._playing else "ok"
        if step != "ok":
            return self._refuse(name, step, http)
        self.statuses[f"{name} 200"] += 1
        return None

    def _refuse(self, model: str, what: str | Refusal, http: web.BaseRequest) -> web.StreamResponse:
        if isinstance(what, str) and what in UNSERVED:
            self.statuses[f"{model} {what}"] += 1
            return hang_up(http, reset=what == "rst")
        refusal = REFUSALS[what]() if isinstance(what, str) else what
        self.statuses[f"{model} {refusal.status}"] += 1
        return refuse(refusal)

    async def _control(self, http: web.BaseRequest) -> web.Response:
        """`GET /_stats`, and `POST /_script` with {model: script}."""
        if http.path == "/_script":
            self.script({model: Script.of(values) for model, values in json.loads(await http.read()).items()})
        return web.json_response(self.stats())


def _any_size(*parts: Any) -> web.BaseRequest:
    return web.BaseRequest(*parts, asyncio.get_running_loop(), client_max_size=2**31)


async def _read(http: web.BaseRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body, and where it came from."""
    about = {"path": http.path, "headers": {k.lower(): v for k, v in http.headers.items()}}
    return json.loads(await http.read()), about


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
