"""Google's models through google-genai: the Gemini Developer API, or Vertex AI.

The SDK builds and signs the request and sends it once; everything else is ours. Its retries are off (they pay twice and
do not know a daily quota), so is what makes one call several (continuation, function calling), and it hands over the
body unread, so no parser stands between a paid response and the ledger.
"""

import asyncio
import hashlib
import logging
import os
import warnings
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from routecal.tasks.errors import OptionMissing
from routecal.tasks.oracle.call import Call, Fault, FaultKind, check_text
from routecal.tasks.oracle.providers.batch_api import BatchApi
from routecal.tasks.oracle.providers.error_classes import of_error, without
from routecal.tasks.oracle.providers.gemini_config import TIERS, sdk_config, user_turn
from routecal.tasks.oracle.providers.per_event_loop import PerEventLoop
from routecal.tasks.oracle.providers.replies import read_response

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.client import AsyncClient

# No text up to here makes a body of the mebibyte that aiohttp warns at: a character takes twelve bytes at most.
_LARGE_CHARS = 2**20 // 12 - 4096

# Of all paths, only this one serves decisions.
DECISIONS_VERSION = "v1beta"


def key_from_env(environ: Mapping[str, str] | None = None) -> str | None:
    """The API key: `GEMINI_API_KEY`, else `GOOGLE_API_KEY`; an empty one is none.

    The SDK prefers the other one; a key that is named for Gemini is meant for it.
    """
    env = os.environ if environ is None else environ
    return env.get("GEMINI_API_KEY", "").strip() or env.get("GOOGLE_API_KEY", "").strip() or None


class _Clients(NamedTuple):
    """What is open in one event loop; Vertex AI serves no decisions."""

    generate: "Client"
    decide: "Client | None"


class Gemini:
    """Sends calls; one client per running event loop, from any number of loops and threads.

    Connections close with `aclose` in the loop that used them, or else when that loop ends by `asyncio.run`.

    Attributes:
        name: `gemini` or `vertex`.
        project: whose quota it is: the project's name, or a digest of the key.
    """

    def __init__(
        self, *, name: str, project: str, arguments: Mapping[str, Any], base_url: str | None, secrets: tuple[str, ...]
    ) -> None:
        self.name, self.project = name, project
        self._arguments, self._base_url, self._secrets = arguments, base_url, secrets
        self._clients = PerEventLoop(self._hold)

    @classmethod
    def create(
        cls,
        *,
        key: str | None,
        vertex: bool = False,
        project: str | None = None,
        location: str | None = None,
        base_url: str | None = None,
        credentials: Any = None,
    ) -> Self:
        """A provider that has not connected yet.

        Args:
            key: API key; Vertex AI does without one where `project` is given.
            vertex: use Vertex AI, not the Developer API.
            project: Google Cloud project, for Vertex AI only; `GOOGLE_CLOUD_PROJECT` when None and there is no key.
            location: of Vertex AI; `GOOGLE_CLOUD_LOCATION` when None, else `global`.
            base_url: another server that speaks the protocol; None for Google's, or `GOOGLE_GEMINI_BASE_URL`.
            credentials: of google-auth, for Vertex AI; the application default ones when None.

        Raises:
            OptionMissing: no key, or for Vertex AI no project either.
        """
        key = (key or "").strip() or None
        if not vertex:
            if key is None:
                raise OptionMissing("Gemini API key", "set GEMINI_API_KEY (one is made at aistudio.google.com/apikey)")
            arguments: dict[str, Any] = {"vertexai": False, "api_key": key}
        elif project := project or (None if key else os.environ.get("GOOGLE_CLOUD_PROJECT")):
            # A key beside a project would be refused: Vertex AI takes the account's credentials.
            key = None
            location = location or os.environ.get("GOOGLE_CLOUD_LOCATION") or "global"
            arguments = {"vertexai": True, "project": project, "location": location, "credentials": credentials}
        elif key:
            arguments = {"vertexai": True, "api_key": key}
        else:
            raise OptionMissing("Google Cloud project", "set GOOGLE_CLOUD_PROJECT, or give the key of Vertex AI")
        return cls(
            name="vertex" if vertex else "gemini",
            project=project or f"key {hashlib.sha256((key or '').encode()).hexdigest()[:8]}",
            arguments=arguments,
            base_url=base_url,
            secrets=(key,) if key else (),
        )

    async def send(self, call: Call, *, tier: str = "online", timeout_s: float) -> str:
        """Send one request, once.

        Args:
            call: a `thinking_level` of None in its config leaves the model's own, which may be dear.
            tier: `online` or `flex`.
            timeout_s: until the whole body must be here.

        Returns:
            The body as it came: one whole JSON object with an answer, or the reason why there is none.

        Raises:
            Fault: anything else, by what must be done about it.
        """
        if tier not in TIERS:
            raise ValueError(f"tier {tier!r} is not one of {', '.join(TIERS)}")
        check_text(call)
        try:
            # A new loop's clients take a moment to make, which is not the provider's.
            clients = await self._clients.get()
            async with asyncio.timeout(timeout_s):
                if call.endpoint == "decide":
                    decision = _decision(call, timeout_s)
                    response = await _deciding(clients).decisions.with_raw_response.create(**decision)
                    body = str(await response.text())
                else:
                    content = _content(call, tier, timeout_s)
                    generated = await clients.generate.aio.models.generate_content(**content)
                    assert generated.sdk_http_response is not None  # asked for in sdk_config
                    body = generated.sdk_http_response.body or ""
        except Fault:
            raise
        except Exception as error:
            fault = of_error(error, secrets=self._secrets, model=call.model)
            if fault is None:
                raise
        else:
            # No provider sends a key back, but a proxy's page may; and the body is kept.
            body = without(body, self._secrets)
            read_response(call, body)
            return body
        # Outside the handler, so that the SDK's error, which holds the request, is not chained to ours.
        raise fault

    def batches(self) -> BatchApi:
        """Its batch jobs; for the Developer API only."""

        async def client() -> "Client":
            return (await self._clients.get()).generate

        return BatchApi(client, self._secrets)

    async def aclose(self) -> None:
        """Close what is open in the running loop."""
        await self._clients.aclose()

    async def _hold(self) -> AsyncGenerator[_Clients, None]:
        """Hold the clients open."""
        import aiohttp
        import httpx2
        from google.genai import Client
        from google.genai.types import HttpOptions, HttpRetryOptions

        # It warns that GOOGLE_API_KEY wins over GEMINI_API_KEY; here neither is read.
        logging.getLogger("google_genai._api_client").setLevel(logging.ERROR)
        once: dict[str, Any] = {"base_url": self._base_url, "retry_options": HttpRetryOptions(attempts=1)}
        # No limits of theirs: the gate decides how many calls are in flight.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        async with (
            aiohttp.ClientSession(trust_env=False, connector=aiohttp.TCPConnector(limit=0)) as session,
            httpx2.AsyncClient(trust_env=False, limits=limits) as plain,
        ):
            generate = Client(**self._arguments, http_options=HttpOptions(**once, aiohttp_client=session))
            decide = None
            if self.name == "gemini":
                options = HttpOptions(**once, httpx_async_client=plain, api_version=DECISIONS_VERSION)
                decide = Client(**self._arguments, http_options=options)
            try:
                yield _Clients(generate, decide)
            finally:
                for client in (generate, decide):
                    if client is not None:
                        await client.aio.aclose()
                        client.close()


def _content(call: Call, tier: str, timeout_s: float) -> dict[str, Any]:
    """A `generate` call as the SDK takes it."""
    if len(call.system) + len(call.prompt) > _LARGE_CHARS:
        # Once a query is that long, blocking the loop for the copy of a megabyte is the least of its costs.
        warnings.filterwarnings("ignore", "Sending a large body", ResourceWarning)
    config = sdk_config(call.system, call.config_json, tier, int(timeout_s * 1000))
    return {"model": call.model, "contents": user_turn(call.prompt), "config": config}


def _decision(call: Call, timeout_s: float) -> dict[str, Any]:
    """A `decide` call as the SDK takes it."""
    prompt = f"{call.system}\n\n{call.prompt}" if call.system else call.prompt
    return {"model": call.model, "input": prompt, "questions": call.config["questions"], "timeout": timeout_s}


def _deciding(clients: _Clients) -> "AsyncClient":
    if clients.decide is None:
        hint = "judge with a model that writes, or with an API key"
        raise Fault(FaultKind.FATAL, 0, "Vertex AI serves no decisions", hint=hint)
    return clients.decide.aio
