"""How long an error response asks to wait: in its details, its message or its headers, each provider in its own way."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_WAIT = re.compile(r"(?:retry|try again|reset) (?:in|after) ((?:[\d.]+ ?(?:ms|h|m|s)\s?)+)", re.IGNORECASE)
_SPAN = re.compile(r"([\d.]+) ?(ms|h|m|s)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

# What OpenAI and many others count; each has headers of its own.
_COUNTED = ("requests", "tokens")


def asked_wait_s(details: object, message: str, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next request; None if nothing is said.

    Details, message and `Retry-After` may differ, and then the longest is meant. `x-ratelimit-reset-…` counts only
    where they are silent: it names the time until a quota is whole again, which is longer than needed.

    Args:
        details: of a google.rpc.Status; anything else says nothing.
        message: of the error.
        headers: of the response, names in any case.
    """
    lower_headers = {str(name).lower(): str(value) for name, value in headers.items()}
    said = [*_detailed(details), *_worded(message), *_retry_after(lower_headers)]
    return max(said or _resets(lower_headers), default=None)


def _detailed(details: object) -> Iterator[float]:
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, dict):
            yield from _number(delay.get("seconds") or 0)
        elif isinstance(delay, str):
            yield from _spans(delay)


def _worded(message: str) -> Iterator[float]:
    for match in _WAIT.finditer(message):
        yield from _spans(match[1])


def _retry_after(headers: Mapping[str, str]) -> Iterator[float]:
    """`Retry-After` in seconds or as a date, and the milliseconds some gateways send."""
    if ms := headers.get("retry-after-ms"):
        yield from (s / 1000 for s in _number(ms))
    after = headers.get("retry-after", "")
    if seconds := list(_number(after)):
        yield from seconds
        return
    try:
        until = parsedate_to_datetime(after)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        yield max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return


def _resets(headers: Mapping[str, str]) -> list[float]:
    """Of the quotas that are used up; of none in particular, the one that is whole again first."""
    waits: dict[str, float] = {}
    for what in _COUNTED:
        text = headers.get(f"x-ratelimit-reset-{what}", "")
        for seconds in _spans(text) or _number(text):
            waits[what] = seconds
    spent = [s for what, s in waits.items() if headers.get(f"x-ratelimit-remaining-{what}") == "0"]
    return spent or sorted(waits.values())[:1]


def _spans(text: str) -> list[float]:
    """`53s`, `590.56ms` or `1h2m3s` in seconds."""
    parts = [(list(_number(n)), _SECONDS[unit.lower()]) for n, unit in _SPAN.findall(text)]
    return [sum(n[0] * unit for n, unit in parts)] if parts and all(n for n, _ in parts) else []


def _number(value: object) -> Iterator[float]:
    """A number of seconds that can be waited, or nothing."""
    try:
        number = float(str(value))
    except ValueError:
        return
    if 0 <= number < 1e7:
        yield number
