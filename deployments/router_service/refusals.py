"""Refusals in the shape that OpenAI's clients read."""

import json
from typing import Any

from starlette.responses import JSONResponse


class AsciiJSON(JSONResponse):
    """JSON in ASCII: a caller's own words may hold what has no UTF-8."""

    def render(self, content: Any) -> bytes:
        """The bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class Refused(Exception):
    """A request that is not served.

    Args:
        status: of HTTP.
        message: a sentence that says what to do.
        param: the field that is wrong.
        code: a word for programs.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code


def refusal(refused: Refused) -> AsciiJSON:
    """The response of a refusal."""
    kind = "server_error" if refused.status >= 500 else "invalid_request_error"
    kind = "authentication_error" if refused.status == 401 else kind
    return AsciiJSON(said_wrong(refused.message, kind, refused.param, refused.code), refused.status)


def said_wrong(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """As OpenAI says that something went wrong."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
