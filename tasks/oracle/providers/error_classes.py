"""From an error of an SDK, or an HTTP error response, to the row of the retry table it belongs to.

What is about statuses and words holds for every provider; `of_error` is google-genai's.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.providers.response_bodies import not_a_completion
from routecal.tasks.oracle.providers.retry_after import asked_wait_s

MAX_MESSAGE = 300
MAX_ERROR_BODY = 4000

# google.rpc.Code, which rows of a batch are refused with, as HTTP.
_RPC_CODES = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 10: 409, 13: 500, 14: 503, 16: 401}

# This request is at fault, not the account; any other status below 500 that is not named here stops the run.
_ROW = {400, 413, 414, 422, 431}
_TRANSIENT = {408, 409, 425, 499}

_PER_DAY = re.compile(r"per.?day|\bdaily (?:quota|limit)", re.IGNORECASE)
_PER_MONTH = re.compile(r"per.?month|monthly.{0,20}(?:cap|limit|quota|budget)", re.IGNORECASE)
_CREDITS = re.compile(
    r"credits? (?:are|is|have been) (?:depleted|exhausted|used up)|insufficient.?(?:quota|credit|fund)"
    r"|billing_(?:hard_limit|not_active)|budget.?(?:has been )?exceeded",
    re.IGNORECASE,
)
# A plan that leaves the model out: no day will bring it back.
_NO_QUOTA = re.compile(r"\blimit: 0\b(?!\.)")
_BAD_KEY = re.compile(r"API.?KEY.?(?:INVALID|not valid|expired|not found)", re.IGNORECASE)

_GOOGLES = re.compile(r"\bya29\.[\w.-]+|\bAIza[\w-]{30,}")

# Some servers answer 400 for a model they do not have.
_NO_MODEL = re.compile(r"model_not_found|invalid model name", re.IGNORECASE)

# httpx errors that happen before the request has left.
_UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}


def without(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every secret blotted out, and all else that has the form of Google's keys and access tokens.

    >>> without("key=abc123 refused", ("abc123",))
    'key=[secret] refused'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    return _GOOGLES.sub("[secret]", text)


def of_status(
    code: int,
    body: object,
    headers: Mapping[str, str] = {},
    *,
    secrets: tuple[str, ...] = (),
    model: str = "",
    key_name: str = "GEMINI_API_KEY",
) -> Fault:
    """The fault that an error response stands for.

    Args:
        code: HTTP status, or the google.rpc.Code of a row of a batch.
        body: as JSON where it is JSON, else its text. A list of one error is the error.
        headers: of the response, names in any case.
        secrets: to be kept out of the fault.
        model: whom the request was for, to name it in the hint.
        key_name: the environment variable the key came from, for the hint.
    """
    code = _RPC_CODES.get(code, code)
    error = _error(body)
    # FastAPI, which many servers are built on, has its own word for the message, and may list several.
    said = error.get("message", error.get("detail"))
    text = said if isinstance(said, str) else json.dumps(said) if isinstance(said, list) else ""
    message = _short(text or (body if isinstance(body, str) else "") or f"HTTP {code}", secrets)
    facts = " ".join([text, *_facts(error)])
    kind, hint = _row(code, str(error.get("status") or error.get("code") or ""), facts)
    hint = hint.format(model=f"the model {model}" if model else "the model", key=key_name)
    wait_s = asked_wait_s(error.get("details"), text, headers)
    cleaned = without(body if isinstance(body, str) else json.dumps(body, default=str), secrets)[:MAX_ERROR_BODY]
    # A success that is not 200 may well be on the bill.
    return Fault(kind, code, message, wait_s, code < 300, hint, "" if body is None else cleaned)


def of_error(error: Exception, *, secrets: tuple[str, ...] = (), model: str = "") -> Fault | None:
    """The fault that an exception from google-genai stands for; None if it is a mistake of ours, which must be seen."""
    import aiohttp
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.genai import errors

    match error:
        case errors.APIError():
            headers = getattr(error.response, "headers", None) or {}
            return of_status(error.code or 0, error.details, headers, secrets=secrets, model=model)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return no_address(error, secrets)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return _transient("no connection", error, secrets, billed=False)
        case aiohttp.ClientError():
            return _transient("the connection broke", error, secrets)
        case json.JSONDecodeError():
            # The SDK leaves bodies with status 200 alone when asked for the raw response; it parses errors only.
            said, page = "an error page in place of an error", error.doc[:MAX_ERROR_BODY]
            return _transient(said, error, secrets, billed=False, body=page)
        case GoogleAuthError():
            if error.retryable or isinstance(error, TransportError):
                return _transient("no access token", error, secrets, billed=False)
            hint = "run: gcloud auth application-default login"
            return Fault(FaultKind.FATAL, 0, _short(f"no access to Google Cloud: {error}", secrets), hint=hint)
    if fault := of_broken(error, secrets=secrets):
        return fault
    # The SDK's other half, which serves the Decisions API, has a family of errors of its own.
    from google.genai._gaos.lib import compat_errors

    return of_api_error(error, compat_errors, secrets=secrets, model=model)


def of_api_error(
    error: Exception, family: Any, *, secrets: tuple[str, ...], model: str, key_name: str = "GEMINI_API_KEY"
) -> Fault | None:
    """The fault that an error of a generated SDK stands for; None if it is none.

    Args:
        error: raised by the SDK.
        family: the module that has `APIError`, `APIConnectionError` and `APITimeoutError`: each SDK has its own.
        secrets, model, key_name: as for `of_status`.
    """
    if not isinstance(error, family.APIError):
        return None
    if isinstance(error, family.APIConnectionError):
        cause = error.__cause__ or error
        unsent, late = type(cause).__name__ in _UNSENT, isinstance(error, family.APITimeoutError)
        what = "no connection" if unsent else "no response in time" if late else "the connection broke"
        return _transient(what, cause, secrets, billed=not unsent)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    code, body = getattr(error, "status_code", None) or 0, getattr(error, "body", None)
    return of_status(code, body, headers, secrets=secrets, model=model, key_name=key_name)


def of_broken(error: Exception, *, secrets: tuple[str, ...]) -> Fault | None:
    """The fault of a connection or a body that broke, whichever SDK is in use; None if it is something else."""
    match error:
        case ConnectionError():
            return _transient("the connection broke", error, secrets)
        case TimeoutError():
            return _transient("no response in time", error, secrets)
        case UnicodeDecodeError():
            body = without(error.object.decode("utf-8", "replace"), secrets)
            if body.lstrip().startswith("{"):
                return _transient("the response is not UTF-8", error, secrets, body=body)
            try:
                not_a_completion(body)
            except Fault as fault:
                return fault
    return None


def no_address(error: object, secrets: tuple[str, ...]) -> Fault:
    """The fault of a base URL that is none."""
    said = _short(f"this is no address of a server: {error}", secrets)
    return Fault(FaultKind.FATAL, 0, said, hint="check the base URL")


def _transient(
    what: str, error: BaseException, secrets: tuple[str, ...], *, billed: bool = True, body: str = ""
) -> Fault:
    said = _short(f"{what}: {error}" if str(error) else what, secrets)
    return Fault(FaultKind.TRANSIENT, 0, said, maybe_billed=billed, body=without(body, secrets))


def _row(code: int, status: str, facts: str) -> tuple[FaultKind, str]:
    """Kind, and a hint with places for the model and the key's name."""
    if code == 429:
        return _row_of_429(facts)
    if _BAD_KEY.search(facts) or code == 401:
        return FaultKind.FATAL, "put a valid key into {key}"
    if code == 400 and status == "FAILED_PRECONDITION":
        return FaultKind.FATAL, "check that the API serves your region, and that billing is enabled for the project"
    if code == 402 or (code in (400, 403) and _CREDITS.search(facts)):
        return FaultKind.FATAL, "add credits to the account, then run again: what is finished is kept"
    if code == 403:
        return FaultKind.FATAL, "check that this key, or account, may use the API and {model}"
    if code == 404 or (code == 400 and _NO_MODEL.search(facts)):
        options = "--medium-model, --large-model, --judge-model"
        return FaultKind.FATAL, f"check the spelling of {{model}} ({options}) and the base URL"
    if 300 <= code < 400:
        return FaultKind.FATAL, "check the base URL"
    if code in _ROW:
        return FaultKind.ROW, ""
    if code in _TRANSIENT or code < 400 or code >= 500:
        return FaultKind.TRANSIENT, ""
    return FaultKind.FATAL, "check the model and the base URL"


def _row_of_429(facts: str) -> tuple[FaultKind, str]:
    """Money first, then the day, which outlasts a minute that is named beside it."""
    if _CREDITS.search(facts):
        return FaultKind.FATAL, "add credits to the account, then run again: what is finished is kept"
    if _NO_QUOTA.search(facts):
        return FaultKind.FATAL, "the plan of this account leaves out {model}: enable billing, or choose another"
    if _PER_MONTH.search(facts):
        return FaultKind.FATAL, "raise the project's monthly spending cap, then run again: what is finished is kept"
    return (FaultKind.DAY_QUOTA if _PER_DAY.search(facts) else FaultKind.RATE), ""


def _error(body: object) -> dict[str, Any]:
    """The error object inside a body, or the body itself where the SDK has unwrapped it already."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, dict) else body


def _details(error: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    details = error.get("details")
    yield from (d for d in details if isinstance(d, dict)) if isinstance(details, list) else ()


def _facts(error: Mapping[str, Any]) -> Iterator[str]:
    """Names of quotas and reasons: what an error is about, apart from its message."""
    yield from (str(error.get(name) or "") for name in ("code", "type"))
    for detail in _details(error):
        yield str(detail.get("reason") or "")
        violations = [v for v in detail.get("violations") or [] if isinstance(v, dict)]
        for source, names in [
            *((v, ("quotaId", "quotaMetric")) for v in violations),
            (detail.get("metadata"), ("quota_limit",)),
        ]:
            yield from (str(source.get(name) or "") for name in names) if isinstance(source, dict) else ()


def _short(text: str, secrets: tuple[str, ...]) -> str:
    """One line, without secrets, of at most `MAX_MESSAGE` characters."""
    # Secrets go first: a cut through the middle of one would hide it from the search.
    line = " ".join(without(text, secrets).split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
