"""The files of a batch job: a line for each call, and a line for each response.

A request in such a file is the one that is sent online, to the byte: the SDK itself writes it, with a transport in
place of its network that keeps what it is given.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from routecal.tasks.oracle.call import Call, Stage
from routecal.tasks.oracle.providers.gemini_config import sdk_config

if TYPE_CHECKING:
    import httpx2

# The service takes two gigabytes, of whichever kind.
MAX_BYTES = 1_900_000_000

_NO_TIMEOUT_MS = 1000
_one_speller = Lock()
_KEY = re.compile(r"[0-9a-f]{64}")


class Tag(NamedTuple):
    """What a line is called in the file, so that its response can be stored even if nobody knows the call any more.

    Attributes:
        key: of the call.
        stage: what the call is for.
        prompt_version: of the call.
    """

    key: str
    stage: Stage
    prompt_version: str

    @classmethod
    def of(cls, call: Call) -> "Tag":
        """The tag of a call."""
        return cls(call.key, call.stage, call.prompt_version)

    @classmethod
    def read(cls, text: object) -> "Tag | None":
        """The tag that `str` made, or None if this is none.

        >>> Tag.read(str(Tag("a" * 64, "judge", "p@1"))).prompt_version
        'p@1'
        >>> Tag.read("line 7") is None
        True
        """
        key, stage, version = (*(text.split(" ", 2) if isinstance(text, str) else ()), "", "", "")[:3]
        if not _KEY.fullmatch(key) or stage not in get_args(Stage):
            return None
        return cls(key, stage, version)

    def __str__(self) -> str:
        return " ".join(self)


class JobLine(NamedTuple):
    """One result.

    Attributes:
        tag: of the call; None if it is none of ours.
        body: the response, as a raw body; None if there is an error instead.
        error: code (a google.rpc.Code) and message.
    """

    tag: Tag | None
    body: str | None
    error: tuple[int, str] = (0, "")


class Torn(NamedTuple):
    """A line that is not JSON; at the end of the file it is one that was cut."""

    number: int


def write_lines(calls: Iterable[Call], path: Path, *, max_bytes: int = MAX_BYTES) -> int:
    """Write the requests of calls, one per line, until the file would be too large; returns how many.

    Args:
        calls: of one model, to `generate`.
        path: the file to write.
        max_bytes: of the file.
    """
    written = size = 0
    with _one_speller, open(path, "wb") as file:
        speller = _speller()
        for call in calls:
            line = b'{"key": %s, "request": %s}\n' % (json.dumps(str(Tag.of(call))).encode(), speller.request(call))
            size += len(line)
            if size > max_bytes:
                break
            file.write(line)
            written += 1
    return written


def read_lines(path: Path) -> Iterator[JobLine | Torn]:
    """The results in a file, in any order, one at a time."""
    with open(path, "rb") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                parsed = None
            yield _line(parsed) if isinstance(parsed, dict) else Torn(number)


def _line(parsed: dict[str, Any]) -> JobLine:
    tag, response, error = Tag.read(parsed.get("key")), parsed.get("response"), parsed.get("error")
    if isinstance(response, dict):
        # Half a surrogate pair, which has no UTF-8, stays the escape that it was.
        return JobLine(tag, json.dumps(response, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())
    said = error if isinstance(error, dict) else {}
    code, message = said.get("code"), said.get("message")
    known = code if isinstance(code, int) and not isinstance(code, bool) else 0
    return JobLine(
        tag, None, (known, message if isinstance(message, str) and message else "neither response nor error")
    )


class _Speller:
    """Has the SDK write requests that go nowhere. For one thread at a time."""

    def __init__(self) -> None:
        import httpx2
        from google.genai import Client
        from google.genai.types import HttpOptions, HttpRetryOptions

        # It warns of keys in the environment; here none is used. And nobody must read of requests that go nowhere.
        logging.getLogger("google_genai._api_client").setLevel(logging.ERROR)
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._last = b""
        nowhere = httpx2.Client(transport=httpx2.MockTransport(self._keep), trust_env=False)
        options = HttpOptions(
            base_url="http://nowhere.invalid", retry_options=HttpRetryOptions(attempts=1), httpx_client=nowhere
        )
        self._client = Client(vertexai=False, api_key="none", http_options=options)

    def request(self, call: Call) -> bytes:
        """The body of the request as it would be sent online, on one line."""
        config = sdk_config(call.system, call.config_json, "online", _NO_TIMEOUT_MS)
        self._client.models.generate_content(model=call.model, contents=call.prompt, config=config)
        # Parsed and written again: whatever the SDK's spelling, a line break would end the line.
        return json.dumps(json.loads(self._last), ensure_ascii=False).encode()

    def _keep(self, request: "httpx2.Request") -> "httpx2.Response":
        import httpx2

        self._last = request.content
        return httpx2.Response(200, json={})


@cache
def _speller() -> _Speller:
    """The one of this process: making one takes a tenth of a second, and it holds nothing open."""
    return _Speller()
