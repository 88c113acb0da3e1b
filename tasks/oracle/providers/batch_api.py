"""Batch jobs and their files, as google-genai offers them; whatever goes wrong is a `Fault`.

Vertex AI has batch jobs too, but takes and gives them in a storage bucket; it is not served here.
"""

import asyncio
import contextlib
import json
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.providers.error_classes import of_error, without

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.client import AsyncClient

T = TypeVar("T")

# A job in one of these goes no further. The SDK does not know the second, and would have us wait for ever.
ENDS = {"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}

# Seconds for a request about a job, and for a file of up to two gigabytes.
REQUEST_S, FILE_S = 120.0, 3600.0


class Seen(NamedTuple):
    """A job as the provider tells of it.

    Attributes:
        state: one of `ENDS`, or another for one that goes on; without the prefix it comes with.
        results: the file with its results; None while there is none.
    """

    state: str
    results: str | None


class BatchApi:
    """What can be done with batch jobs. Every method may raise Fault, of the kind that tells what to do about it.

    Args:
        client: gives the SDK's client for the running loop.
        secrets: to be kept out of faults.
    """

    def __init__(self, client: Callable[[], Awaitable["Client"]], secrets: tuple[str, ...]) -> None:
        self._client, self._secrets = client, secrets

    def clean(self, text: str) -> str:
        """The text without secrets."""
        return without(text, self._secrets)

    async def upload(self, path: Path, display_name: str) -> str:
        """Upload a file of JSON Lines; returns what the provider calls it."""
        config: Any = {"mime_type": "jsonl", "display_name": display_name}

        async def work(aio: "AsyncClient") -> str:
            try:
                return str((await aio.files.upload(file=path, config=config)).name)
            except (KeyError, ValueError) as error:
                # How the SDK says that a piece was not taken. A ValueError may also be an error page instead of JSON.
                if isinstance(error, json.JSONDecodeError | UnicodeError):
                    raise
                raise Fault(FaultKind.TRANSIENT, 0, "the upload did not come to its end") from None

        return await self._run(work, FILE_S)

    async def create(self, model: str, file: str, display_name: str) -> str:
        """Create a job; returns what the provider calls it. A second request creates a second job, and bills it."""
        config: Any = {"display_name": display_name}

        async def work(aio: "AsyncClient") -> str:
            return str((await aio.batches.create(model=model, src=file, config=config)).name)

        return await self._run(work, REQUEST_S, model)

    async def find(self, display_name: str) -> str | None:
        """The job of that display name, as the provider calls it; None if there is none."""

        async def work(aio: "AsyncClient") -> str | None:
            config: Any = {"page_size": 100}
            async for job in await aio.batches.list(config=config):
                if job.display_name == display_name:
                    return str(job.name)
            return None

        return await self._run(work, REQUEST_S)

    async def see(self, name: str) -> Seen:
        """How far a job is."""

        async def work(aio: "AsyncClient") -> Seen:
            job = await aio.batches.get(name=name)
            state = str(job.state.value if job.state else "").rpartition("STATE_")[2]
            return Seen(state, job.dest.file_name if job.dest else None)

        return await self._run(work, REQUEST_S)

    async def why(self, name: str) -> str:
        """What a failed job says about it; never raises.

        The SDK's own job has no room for it, so this reads the operation behind it.
        """

        async def work(aio: "AsyncClient") -> str:
            raw = await aio.batches._api_client.async_request("get", name, {}, None)
            return str(json.loads(raw.body or "{}")["error"]["message"])

        with contextlib.suppress(Exception):
            return self.clean(" ".join((await self._run(work, REQUEST_S)).split())[:300])
        return "the provider does not say why"

    async def cancel(self, name: str) -> None:
        """Ask for the end of a job; what it has answered by then is billed."""
        await self._run(lambda aio: aio.batches.cancel(name=name), REQUEST_S)

    async def download(self, file: str, path: Path) -> None:
        """Write a file of results to `path`, piece by piece."""
        await self._run(lambda aio: aio.files.download(file=file, destination=path), FILE_S)

    async def delete(self, file: str) -> None:
        """Delete a file, if that can be done."""
        with contextlib.suppress(Fault):
            await self._run(lambda aio: aio.files.delete(name=file), REQUEST_S)

    async def _run(self, work: Callable[["AsyncClient"], Awaitable[T]], timeout_s: float, model: str = "") -> T:
        # The SDK warns of every state it does not know, and hands it over nevertheless.
        warnings.filterwarnings("ignore", ".* is not a valid JobState", UserWarning)
        client = await self._client()
        try:
            async with asyncio.timeout(timeout_s):
                return await work(client.aio)
        except Fault:
            raise
        except Exception as error:
            fault = of_error(error, secrets=self._secrets, model=model)
            if fault is None:
                raise
        # Outside the handler, so that the SDK's error, which holds the request, is not chained to ours.
        raise fault
