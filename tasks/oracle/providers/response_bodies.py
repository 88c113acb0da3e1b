"""Bodies that came with HTTP 200: which are one JSON object, which were cut short, and which never were a response.

The last kind is charged for by nobody, and every further request would bring it again: a login page, a stream of
events, another protocol.
"""

import json
import re
from typing import Any, NoReturn

from routecal.plain_text import plain
from routecal.tasks.oracle.call import Fault, FaultKind

# So much of a strange body is shown.
QUOTED = 120

_EVENTS = re.compile(r"(?:data|event|id|retry)?:")

_ADDRESS = "check the base URL, and what answers there in place of the model (a login page, a proxy)"
_STREAM = "the server streams although it was told not to: switch that off there"


def json_object(body: str) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        Fault: TRANSIENT, and maybe billed: it is the beginning of one, so the connection was cut. FATAL and free of
            charge: it is anything else.
    """
    # Some gateways put a byte order mark before their JSON.
    text = body.removeprefix("\ufeff")
    what = ""
    try:
        parsed = json.loads(text)
        what = "a JSON list" if isinstance(parsed, list) else "a JSON value"
    except RecursionError:
        parsed, what = None, "JSON of another kind"
    except ValueError:
        parsed = None
    # Outside the handlers, so that the decoder's error, which holds the body, is not chained to ours.
    if isinstance(parsed, dict):
        return parsed
    if not what and _is_cut(text):
        said = "the response is not one whole JSON object: it was cut short"
        raise Fault(FaultKind.TRANSIENT, 200, said, maybe_billed=True, body=body)
    not_a_completion(body, what)


def not_a_completion(body: str, what: str = "") -> NoReturn:
    """Raise the fault of a body that is no response to any of our requests: FATAL, quoted, and free of charge."""
    start = body.removeprefix("\ufeff").lstrip()
    hint = _ADDRESS
    if _EVENTS.match(start):
        what, hint = "a stream of events", _STREAM
    elif start[:1] == "{" and "\n{" in start and not what:
        what, hint = "a stream of JSON lines", _STREAM
    elif start[:1] == "<":
        what = "a web page"
    elif not start:
        raise Fault(FaultKind.FATAL, 200, "the response is empty, no completion at all", hint=hint, body=body)
    quoted = plain(" ".join(start[: 4 * QUOTED].split()), at_most=QUOTED)
    said = f"the response is {what or 'text'}, no completion at all: «{quoted}»"
    raise Fault(FaultKind.FATAL, 200, said, hint=hint, body=body)


def _is_cut(text: str) -> bool:
    """Whether a text that is no JSON may be the beginning of an object: it ends before its first brace is closed."""
    if not text.lstrip().startswith("{"):
        return False
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if depth == 0:
                return False
    return True
