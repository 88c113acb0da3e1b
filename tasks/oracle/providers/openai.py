"""Any server that speaks OpenAI's chat completions, through the openai package: vLLM, Ollama, LiteLLM, OpenAI itself.

The package builds the request and sends it once; its retries are off, and the body is handed over unread, so no parser
stands between a paid response and the ledger.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator
from typing import Any, Self
from urllib.parse import quote

import httpx2
from openai import AsyncOpenAI

from routecal.tasks.errors import OptionMissing
from routecal.tasks.oracle.call import Call, Fault, FaultKind, check_text
from routecal.tasks.oracle.providers.address import Address, address_of
from routecal.tasks.oracle.providers.error_classes import without
from routecal.tasks.oracle.providers.openai_faults import KEY_NAME, of_error, refined, wants_other_cap
from routecal.tasks.oracle.providers.per_event_loop import PerEventLoop
from routecal.tasks.oracle.providers.replies import read_response

TIERS = ("online", "flex")

# A server that is there accepts within seconds, however long it then takes to answer.
CONNECT_S = 20.0

# The package insists on a key; servers of one's own want none and read none.
_NO_KEY = "none"

# A secret of this length is no word.
_LONG = 16

_OPTIONS = {"max_output_tokens", "thinking_level", "schema", "json_object"}


class OpenAI:
    """Sends calls; one client per running event loop, from any number of loops and threads.

    Attributes:
        name: `openai:<base url>`, without user and password.
        project: whose quota it is: the same address, and a digest of the key.
    """

    def __init__(self, *, address: Address, key: str | None) -> None:
        """Use `create`."""
        self.name = f"openai:{address.url}"
        self.project = f"{address.url} key {hashlib.sha256(key.encode()).hexdigest()[:8]}" if key else address.url
        self._address, self._key = address, key
        # Shorter than four characters nothing is a secret, but much would be blotted out.
        self._secrets = tuple(s for s in (*_spellings(address.login), key or "") if len(s) >= 4)
        self._clients = PerEventLoop(self._hold)
        # `max_tokens` is what every server of one's own knows, and some ignore the other without a word, so that
        # nothing would bound an answer. OpenAI has renamed it, and its reasoning models refuse the old name; a model
        # that does so elsewhere, behind a proxy, is remembered here.
        self._cap = "max_completion_tokens" if address.is_openai else "max_tokens"
        self._renamed: set[str] = set()

    @classmethod
    def create(cls, *, base_url: str, key: str | None) -> Self:
        """A provider that has not connected yet.

        Args:
            base_url: all that comes before `/chat/completions`. A user and password in it are used, and never shown.
            key: None for a server that wants none.

        Raises:
            OptionMissing: the address or the key is none.
        """
        key = (key or "").strip() or None
        if key and not (key.isascii() and key.isprintable()):
            raise OptionMissing("usable API key", f"{KEY_NAME} holds characters that no key has; copy it again")
        return cls(address=address_of(base_url), key=key)

    async def send(self, call: Call, *, tier: str = "online", timeout_s: float) -> str:
        """Send one request, once.

        Args:
            call: a `thinking_level` of None in its config is not sent; many servers refuse it.
            tier: `online` or `flex`, which OpenAI has.
            timeout_s: until the whole body must be here.

        Returns:
            The body as it came: one whole JSON object with an answer.

        Raises:
            Fault: anything else, by what must be done about it.
        """
        if tier not in TIERS:
            raise ValueError(f"tier {tier!r} is not one of {', '.join(TIERS)}")
        if call.endpoint == "decide":
            hint = "judge with a model that writes: leave out --judge decision"
            raise Fault(FaultKind.FATAL, 0, f"{self.name} serves no decisions", hint=hint)
        check_text(call)
        cap = "max_completion_tokens" if call.model in self._renamed else self._cap
        request = self._request(call, tier, cap)
        try:
            # A new loop's client takes a moment to make, which is not the provider's.
            client = await self._clients.get()
            async with asyncio.timeout(timeout_s):
                raw = await client.chat.completions.with_raw_response.create(**request)
            # Not `text`, which puts replacements for what is no UTF-8.
            body = raw.content.decode("utf-8")
        except Exception as error:
            fault = of_error(error, secrets=self._secrets, model=call.model, has_form=_has_form(call))
            if fault is None:
                raise
        else:
            return self._checked(call, body)
        # Outside the handler, so that the SDK's error, which holds the request, is not chained to ours.
        if cap == "max_tokens" and wants_other_cap(fault):
            self._renamed.add(call.model)
            said = f"asked for max_completion_tokens, as it will be: {fault.message}"
            fault = Fault(FaultKind.TRANSIENT, fault.code, said, body=fault.body)
        raise fault

    async def aclose(self) -> None:
        """Close what is open in the running loop."""
        await self._clients.aclose()

    def _request(self, call: Call, tier: str, cap: str) -> dict[str, Any]:
        """A call as the package takes it."""
        if unknown := call.config.keys() - _OPTIONS:
            raise ValueError(f"a call of an OpenAI-compatible model has no option {', '.join(sorted(unknown))}")
        system = [{"role": "system", "content": call.system}] if call.system else []
        request: dict[str, Any] = {
            "model": call.model,
            "messages": [*system, {"role": "user", "content": call.prompt}],
            # Some servers stream unless they are told not to.
            "stream": False,
        }
        if (most := call.config.get("max_output_tokens")) is not None:
            request[cap] = most
        if level := call.config.get("thinking_level"):
            request["reasoning_effort"] = level.lower()
        if schema := call.config.get("schema"):
            form = {"name": "reply", "schema": schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        elif call.config.get("json_object"):
            request["response_format"] = {"type": "json_object"}
        if tier == "flex":
            request["service_tier"] = "flex"
        elif self._address.is_openai:
            # Unsaid, it is the project's setting, which may be a tier that costs more than was reserved.
            request["service_tier"] = "default"
        return request

    def _checked(self, call: Call, body: str) -> str:
        """The body, if it is an answer."""
        # No provider sends a key back, but a proxy's page may; and the body is stored. What is short stays: a key like
        # `ollama` is a word of answers.
        cleaned = without(body, tuple(secret for secret in self._secrets if len(secret) >= _LONG))
        fault = _fault_of(call, cleaned)
        if fault is None:
            return cleaned
        # What no answer needs nobody misses; and a fault is shown to people.
        cleaned = without(body, self._secrets)
        fault = _fault_of(call, cleaned) or Fault(fault.kind, fault.code, "the reply is no answer", body=cleaned)
        raise refined(fault, has_form=_has_form(call))

    async def _hold(self) -> AsyncGenerator[AsyncOpenAI, None]:
        """Hold a client open."""
        # No limits of its own: the gate decides how many calls are in flight, and `send` how long one may take.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        timeout = httpx2.Timeout(None, connect=CONNECT_S)
        login = httpx2.BasicAuth(*self._address.login) if self._address.login else None
        async with httpx2.AsyncClient(trust_env=False, limits=limits, timeout=timeout, auth=login) as http:
            key = self._key or _NO_KEY
            yield AsyncOpenAI(api_key=key, base_url=self._address.url, max_retries=0, timeout=timeout, http_client=http)


def _fault_of(call: Call, body: str) -> Fault | None:
    try:
        read_response(call, body)
    except Fault as fault:
        return fault
    return None


def _has_form(call: Call) -> bool:
    return bool(call.config.get("schema") or call.config.get("json_object"))


def _spellings(login: tuple[str, str] | None) -> tuple[str, ...]:
    """All the ways in which a password may be met again."""
    if login is None:
        return ()
    encoded = base64.b64encode(":".join(login).encode()).decode()
    return encoded, login[1], quote(login[1], safe="")
