"""What the errors of the openai package mean for the run."""

import json
import re

import httpx2
import openai

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.providers.error_classes import no_address, of_api_error, of_broken

KEY_NAME = "OPENAI_API_KEY"

# This one request is too long; others may fit.
_TOO_LONG = re.compile(r"context_length|context.?(?:length|window|size)|too many tokens", re.IGNORECASE)
# A parameter of ours that the server or the model does not take, and so takes from no request.
_NOT_TAKEN = re.compile(
    r"unsupported.?(?:parameter|value|params)|unknown_parameter|unrecognized request argument|extra_forbidden"
    r"|extra inputs are not permitted|(?:does|do) not support|(?:not|isn't) supported|invalid_json_schema"
    r"|invalid.(?:schema|value|parameter|service_tier)",
    re.IGNORECASE,
)
# The same, but what leaves no room is the answer: length of the context and of the answer, in either order.
_NO_ROOM = re.compile(
    r"too large: (?P<cap>\d+).*?context length is (?P<context>\d+)"
    r"|context length is (?P<context_>\d+).*?(?P<cap_>\d+) in the completion",
    re.IGNORECASE | re.DOTALL,
)
_CAP = r"max_(?:completion_)?tokens"
# What holds a judge's reply to a form.
_FORM = re.compile(r"response.?format|json.?(?:schema|object|mode)|guided|grammar|structured.?output", re.IGNORECASE)
FORM_HINT = "ask the judges for less than a JSON schema: --judge-json object, or --judge-json prompt"
_HINTS = {
    r"reasoning_effort|thinking": "leave the thinking level out with --medium-thinking none, --large-thinking none or "
    "--judge-thinking none",
    _FORM.pattern: FORM_HINT,
    r"service_tier": "leave out --backend flex",
    r"system.?(?:role|message)": "serve the model with a chat template that has a system message",
    _CAP: "choose a smaller --max-output-tokens",
}
_OTHER_CAP = re.compile(r"max_tokens.{0,80}not supported.{0,80}max_completion_tokens", re.IGNORECASE | re.DOTALL)


def of_error(error: Exception, *, secrets: tuple[str, ...], model: str, has_form: bool = False) -> Fault | None:
    """The fault that an exception from a request stands for; None if it is a mistake of ours, which must be seen.

    Args:
        error: of the openai package, or of what it stands on.
        secrets: to be kept out of the fault.
        model: whom the request was for.
        has_form: the request named a `response_format`.
    """
    if isinstance(error, httpx2.InvalidURL):
        return no_address(error, secrets)
    fault = of_api_error(error, openai, secrets=secrets, model=model, key_name=KEY_NAME)
    return refined(fault, has_form=has_form) if fault else of_broken(error, secrets=secrets)


def refined(fault: Fault, *, has_form: bool = False) -> Fault:
    """The same, but FATAL where the request was refused for what all requests have in common."""
    said = _said(fault)
    if (room := _NO_ROOM.search(said)) and fault.kind is FaultKind.ROW:
        cap, context = (int(room[name] or room[f"{name}_"]) for name in ("cap", "context"))
        if cap >= context:
            return Fault(FaultKind.FATAL, fault.code, fault.message, hint=_HINTS[_CAP], body=fault.body)
    if fault.kind is not FaultKind.ROW or _TOO_LONG.search(said):
        return fault
    # Each server has its own words for a form of replies that it does not know, but all name it.
    hint = FORM_HINT if has_form and _FORM.search(said) else None
    if hint is None and _NOT_TAKEN.search(said):
        hint = next((hint for named, hint in _HINTS.items() if re.search(named, said, re.IGNORECASE)), None)
    return Fault(FaultKind.FATAL, fault.code, fault.message, hint=hint, body=fault.body) if hint else fault


def wants_other_cap(fault: Fault) -> bool:
    """Whether the model takes `max_completion_tokens` only, and says so."""
    return fault.code in (400, 422) and bool(_OTHER_CAP.search(fault.message))


def _said(fault: Fault) -> str:
    """Message, code and parameter. Not the whole body, which may repeat the query."""
    try:
        error = json.loads(fault.body)
    except ValueError:
        return fault.message
    error = error.get("error", error) if isinstance(error, dict) else {}
    named = [str(error.get(name) or "") for name in ("code", "type", "param")] if isinstance(error, dict) else []
    return " ".join([fault.message, *named])
