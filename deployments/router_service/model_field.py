"""A JSON request with another model's name: the value of one field is replaced, and every other byte stays.

Reading and writing JSON again would change numbers, drop repeated names and reorder what upstream may count on.
"""

import json
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

# Where a caller could send a request elsewhere, or with other headers; see `BodyRefused`.
REDIRECTS = ("api_key", "api_base", "base_url", "extra_headers")
_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


class BodyRefused(ValueError):
    """A request body that cannot be relayed; says why."""


class Body:
    """A request body, read once.

    Args:
        raw: as it came.

    Raises:
        BodyRefused: it is no JSON object, names a field twice or in a way that upstream may read otherwise, or would
            send the request elsewhere.

    >>> body = Body(b'{"model" : "auto", "n":1.0}')
    >>> body.fields["model"], body.with_model("gpt-x")
    ('auto', b'{"model" : "gpt-x", "n":1.0}')
    """

    def __init__(self, raw: bytes) -> None:
        try:
            self._text = raw.decode()
        except UnicodeDecodeError as error:
            raise BodyRefused(f"the body is not UTF-8 (byte {error.start})") from error
        self.fields: dict[str, Any] = {}
        self._model = (0, 0)
        try:
            self._read()
        except (ValueError, IndexError, RecursionError) as error:
            if isinstance(error, BodyRefused):
                raise
            raise BodyRefused(f"the body is no JSON object: {error}") from error
        if redirects := [name for name in REDIRECTS if name in self.fields]:
            raise BodyRefused(f"{redirects[0]} is not taken from a request: upstreams are configured at the server")

    def with_model(self, name: str) -> bytes:
        """The same bytes with this model."""
        start, end = self._model
        if not end:
            raise BodyRefused("model is missing")
        return (self._text[:start] + json.dumps(name) + self._text[end:]).encode()

    def _read(self) -> None:
        text, at = self._text, self._after_space(0)
        if text[at : at + 1] != "{":
            raise BodyRefused("the body is no JSON object")
        at = self._after_space(at + 1)
        while text[at : at + 1] != "}":
            if text[at : at + 1] != '"':
                raise ValueError(f"a name is expected at {at}")
            name, at = scanstring(text, at + 1, True)
            at = self._after_space(at)
            if text[at : at + 1] != ":":
                raise ValueError(f"a colon is expected at {at}")
            start = self._after_space(at + 1)
            value, at = _DECODER.raw_decode(text, start)
            if name in self.fields:
                raise BodyRefused(f"{name!r} is there twice")
            self.fields[name] = value
            if name == "model":
                self._model = (start, at)
            at = self._after_space(at)
            if text[at : at + 1] == ",":
                at = self._after_space(at + 1)
                if text[at : at + 1] == "}":
                    raise ValueError(f"a name is expected at {at}")
            elif text[at : at + 1] != "}":
                raise ValueError(f"a comma is expected at {at}")
        if self._after_space(at + 1) != len(text):
            raise ValueError("something follows the object")

    def _after_space(self, at: int) -> int:
        while at < len(self._text) and self._text[at] in _SPACE:
            at += 1
        return at
