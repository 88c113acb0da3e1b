"""A run whose models answer through a server that says something else than it should."""

import json
from collections.abc import Callable
from typing import Any

from tests.gemini_server.answers import Answers
from tests.gemini_server.wire import Request
from tests.tasks.oracle.labelling import RIGHT, WRONG

SMALL, BIG, JUDGE = "small-7b", "big-70b", "judge-30b"
PRICES = "".join(f'[[price]]\nmodel = "{model}"\ninput_usd = 1\noutput_usd = 4\n' for model in (SMALL, BIG, JUDGE))
Rewrite = Callable[[Request, bytes], bytes]


def respond(request: Request) -> str:
    if request.model == JUDGE:
        return Answers()(request) if request.schema else '{"reason": "", "grade": "CORRECT", "confidence": 1}'
    return RIGHT if request.model == BIG else WRONG


def of(model: str, change: Callable[[dict[str, Any]], Any], *, times: int = 10**9) -> Rewrite:
    """Change the first so many bodies of a model, as JSON; bytes are sent as they are."""
    left = [times]

    def rewrite(request: Request, body: bytes) -> bytes:
        if request.model != model or left[0] <= 0:
            return body
        left[0] -= 1
        made = change(json.loads(body))
        return made if isinstance(made, bytes) else json.dumps(made).encode()

    return rewrite


def choice(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change of the one choice; `content` and what else a message has go into the message."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        body["choices"][0] |= {k: v for k, v in changes.items() if k in ("finish_reason", "error")}
        body["choices"][0]["message"] |= {k: v for k, v in changes.items() if k not in ("finish_reason", "error")}
        return body

    return change


ENDS = {
    "error": choice(content="The lake is", finish_reason="error"),
    "abort": choice(content="The lake is", finish_reason="abort"),
    "error of the choice": choice(content="The lake is", error={"code": 502, "message": "upstream gone"}),
    "thoughts alone": choice(content=None, reasoning_content="The lake is"),
    "tool calls": choice(content=None, finish_reason="tool_calls", tool_calls=[{"id": "1"}]),
    "null": choice(content=None),
    "an end that is new": choice(finish_reason="eureka"),
}
