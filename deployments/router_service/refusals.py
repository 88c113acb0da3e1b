"""Refusals in the shape that OpenAI's clients read."""

import json
from typing import Any

from starlette.responses import JSONResponse

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
}


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
    kind = KINDS.get(refused.status, "server_error" if refused.status >= 500 else "invalid_request_error")
    said = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}
    return AsciiJSON({"error": said}, refused.status)
