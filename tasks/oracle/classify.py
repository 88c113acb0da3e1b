"""From an error of an SDK, or an HTTP error response, to the row of the retry table it belongs to."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tasks.oracle.faults import Fault, FaultKind

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
    r"credits? (?:are|is|have been) (?:depleted|exhausted|used up)|insufficient.?(?:quota|credit|fund)", re.I
)
# A plan that leaves the model out: no day will bring it back.
_NO_QUOTA = re.compile(r"\blimit: 0\b(?!\.)")
_BAD_KEY = re.compile(r"API.?KEY.?(?:INVALID|not valid|expired|not found)", re.IGNORECASE)
_WAIT = re.compile(r"(?:retry|try again|reset) (?:in|after) ((?:[\d.]+ ?(?:ms|h|m|s)\s?)+)", re.IGNORECASE)
_SPAN = re.compile(r"([\d.]+) ?(ms|h|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_GOOGLES = re.compile(r"\bya29\.[\w.-]+|\bAIza[\w-]{30,}")

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
    text = error.get("message") if isinstance(error.get("message"), str) else ""
    message = _short(text or (body if isinstance(body, str) else "") or f"HTTP {code}", secrets)
    facts = " ".join([text or "", *_facts(error)])
    kind, hint = _row(code, str(error.get("status") or error.get("code") or ""), facts)
    hint = hint.format(model=f"the model {model}" if model else "the model", key=key_name)
    waits = [*_waits(error, text or ""), *_header_waits(headers)]
    kept = without(body if isinstance(body, str) else json.dumps(body, default=str), secrets)[:MAX_ERROR_BODY]
    # A success that is not 200 may well be on the bill.
    return Fault(kind, code, message, max(waits, default=None), code < 300, hint, "" if body is None else kept)


def of_error(error: Exception, *, secrets: tuple[str, ...] = (), model: str = "") -> Fault | None:
    """The fault that an exception from a request stands for; None if it is a mistake of ours, which must be seen."""
    import aiohttp
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.genai import errors

    def transient(what: str, *, billed: bool, body: str = "") -> Fault:
        said = _short(f"{what}: {error}" if str(error) else what, secrets)
        return Fault(FaultKind.TRANSIENT, 0, said, maybe_billed=billed, body=without(body, secrets))

    def fatal(what: str, hint: str) -> Fault:
        return Fault(FaultKind.FATAL, 0, _short(f"{what}: {error}", secrets), hint=hint)

    match error:
        case errors.APIError():
            headers = getattr(error.response, "headers", None) or {}
            return of_status(error.code or 0, error.details, headers, secrets=secrets, model=model)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return fatal("this is no address of a server", "check the base URL")
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return transient("no connection", billed=False)
        case aiohttp.ClientError() | ConnectionError():
            return transient("the connection broke", billed=True)
        case TimeoutError():
            return transient("no response in time", billed=True)
        case UnicodeDecodeError():
            return transient("the response is not UTF-8", billed=True, body=error.object.decode("utf-8", "replace"))
        case json.JSONDecodeError():
            # The SDK leaves bodies with status 200 alone when asked for the raw response; it parses errors only.
            return transient("an error page in place of an error", billed=False, body=error.doc[:MAX_ERROR_BODY])
        case GoogleAuthError():
            if error.retryable or isinstance(error, TransportError):
                return transient("no access token", billed=False)
            return fatal("no access to Google Cloud", "run: gcloud auth application-default login")
    return _of_decision(error, secrets, model)


def _of_decision(error: Exception, secrets: tuple[str, ...], model: str) -> Fault | None:
    """Errors of the SDK's other half, which serves the Decisions API and has a family of its own."""
    from google.genai._gaos.lib import compat_errors

    if not isinstance(error, compat_errors.APIError):
        return None
    if isinstance(error, compat_errors.APIConnectionError):
        cause = type(error.__cause__).__name__
        what = "no response in time" if isinstance(error, compat_errors.APITimeoutError) else "the connection broke"
        return Fault(
            FaultKind.TRANSIENT, 0, _short(f"{what}: {error.__cause__}", secrets), maybe_billed=cause not in _UNSENT
        )
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return of_status(error.status_code or 0, error.body, headers, secrets=secrets, model=model)


def _row(code: int, status: str, facts: str) -> tuple[FaultKind, str]:
    """Kind, and a hint with places for the model and the key's name."""
    if code == 429:
        return _row_of_429(facts)
    if _BAD_KEY.search(facts) or code == 401:
        return FaultKind.FATAL, "put a valid key into {key}"
    if code == 400 and status == "FAILED_PRECONDITION":
        return FaultKind.FATAL, "check that the API serves your region, and that billing is enabled for the project"
    if code == 402:
        return FaultKind.FATAL, "add credits to the account, then run again"
    if code == 403:
        return FaultKind.FATAL, "check that this key, or account, may use the API and {model}"
    if code == 404:
        return FaultKind.FATAL, "check the spelling of {model} (--medium, --large, --judge-model) and the base URL"
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
    found = error.get("details")
    yield from (d for d in found if isinstance(d, dict)) if isinstance(found, list) else ()


def _facts(error: Mapping[str, Any]) -> Iterator[str]:
    """Names of quotas and reasons: what an error is about, apart from its message."""
    yield from (str(error.get(name) or "") for name in ("code", "type"))
    for detail in _details(error):
        yield str(detail.get("reason") or "")
        found = [v for v in detail.get("violations") or [] if isinstance(v, dict)]
        for source, names in [
            *((v, ("quotaId", "quotaMetric")) for v in found),
            (detail.get("metadata"), ("quota_limit",)),
        ]:
            yield from (str(source.get(name) or "") for name in names) if isinstance(source, dict) else ()


def _waits(error: Mapping[str, Any], message: str) -> Iterator[float]:
    """Seconds to wait, as details and message say; they may differ, and then the longest is meant."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, dict):
            yield from _number(delay.get("seconds") or 0)
        elif isinstance(delay, str):
            yield from _spans(delay)
    for found in _WAIT.finditer(message):
        yield from _spans(found[1])


def _spans(text: str) -> Iterator[float]:
    """`53s`, `590.56ms` or `1h2m3s` in seconds."""
    parts = [(list(_number(n)), _SECONDS[unit.lower()]) for n, unit in _SPAN.findall(text)]
    if parts and all(n for n, _ in parts):
        yield sum(n[0] * unit for n, unit in parts)


def _header_waits(headers: Mapping[str, str]) -> Iterator[float]:
    """`Retry-After` in seconds or as a date, and the milliseconds some gateways send."""
    found = {str(k).lower(): str(v) for k, v in headers.items()}
    if ms := found.get("retry-after-ms"):
        yield from (s / 1000 for s in _number(ms))
    after = found.get("retry-after", "")
    if seconds := list(_number(after)):
        yield from seconds
        return
    try:
        until = parsedate_to_datetime(after)
        now = parsedate_to_datetime(found["date"]) if "date" in found else datetime.now(UTC)
        yield max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return


def _number(value: object) -> Iterator[float]:
    """A number of seconds that can be waited, or nothing."""
    try:
        number = float(str(value))
    except ValueError:
        return
    if 0 <= number < 1e7:
        yield number


def _short(text: str, secrets: tuple[str, ...]) -> str:
    """One line, without secrets, of at most `MAX_MESSAGE` characters."""
    # Secrets go first: a cut through the middle of one would hide it from the search.
    line = " ".join(without(text, secrets).split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
