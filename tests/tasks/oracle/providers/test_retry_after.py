from collections.abc import Mapping

import pytest

from routecal.tasks.oracle.providers.retry_after import asked_wait_s


@pytest.mark.parametrize(
    ("message", "headers", "seconds"),
    [
        ("Please try again in 20s.", {"x-ratelimit-reset-requests": "8m38.4s"}, 20),
        ("", {"Retry-After": "2", "x-ratelimit-reset-requests": "1m"}, 2),
        ("", {"x-ratelimit-reset-requests": "120ms", "x-ratelimit-reset-tokens": "6m0s"}, 0.12),
        (
            "",
            {
                "X-RateLimit-Reset-Requests": "120ms",
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-tokens": "6m0s",
                "X-RateLimit-Remaining-Tokens": "0",
            },
            360,
        ),
        ("", {"x-ratelimit-reset-tokens": "7"}, 7),
        ("", {"x-ratelimit-reset-tokens": "2026-11-22T19:00:00Z"}, None),
        ("", {"x-ratelimit-remaining-tokens": "0"}, None),
    ],
)
def test_when_a_quota_is_whole_counts_where_nothing_else_is_said(
    message: str, headers: Mapping[str, str], seconds: float | None
) -> None:
    assert asked_wait_s(None, message, headers) == (None if seconds is None else pytest.approx(seconds))
