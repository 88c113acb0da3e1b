import json
import pickle
from collections.abc import Mapping

import aiohttp
import pytest
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.providers.error_classes import MAX_MESSAGE, of_error, of_status, without
from tests.gemini_server.refusals import DAY, MINUTE, REFUSALS, error, quota

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind

KINDS = {
    "429": RATE,
    "429-tokens": RATE,
    "429-header": RATE,
    "429-message": RATE,
    "429-bare": RATE,
    "429-html": RATE,
    "429-list": RATE,
    "429-vertex": RATE,
    "429-day": DAY_QUOTA,
    "429-day-and-minute": DAY_QUOTA,
    "429-credits": FATAL,
    "429-month": FATAL,
    "429-none": FATAL,
    "408": TRANSIENT,
    "499": TRANSIENT,
    "500": TRANSIENT,
    "503": TRANSIENT,
    "504": TRANSIENT,
    "502-html": TRANSIENT,
    "502-html-as-json": TRANSIENT,
    "503-list": TRANSIENT,
    "400-key": FATAL,
    "400-region": FATAL,
    "401": FATAL,
    "403": FATAL,
    "403-vertex": FATAL,
    "404": FATAL,
    "400-argument": ROW,
    "413": ROW,
}


def test_every_refusal_of_the_server_has_a_kind_here() -> None:
    assert KINDS.keys() == REFUSALS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_an_error_response_is_a_row_of_the_retry_table(name: str) -> None:
    refusal = REFUSALS[name]()
    fault = of_status(refusal.status, refusal.body, refusal.headers, model="gemini-x")
    assert (fault.kind, fault.code, fault.maybe_billed) == (KINDS[name], refusal.status, False)
    assert bool(fault.hint) == (fault.kind is FATAL)
    assert repr(pickle.loads(pickle.dumps(fault))) == repr(fault)


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("400-key", "put a valid key into GEMINI_API_KEY"),
        ("401", "put a valid key into GEMINI_API_KEY"),
        (
            "404",
            "check the spelling of the model gemini-x (--medium-model, --large-model, --judge-model) and the base URL",
        ),
        ("403", "may use the API and the model gemini-x"),
        ("400-region", "check that the API serves your region"),
        ("429-credits", "add credits"),
        ("429-month", "monthly spending cap"),
        ("429-none", "enable billing"),
    ],
)
def test_a_fatal_fault_says_what_to_do(name: str, clause: str) -> None:
    refusal = REFUSALS[name]()
    assert clause in str(of_status(refusal.status, refusal.body, model="gemini-x"))


def test_another_provider_names_its_own_key() -> None:
    body = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    assert "OPENAI_API_KEY" in of_status(401, body, key_name="OPENAI_API_KEY").hint


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        (quota(MINUTE, retry_s=53.016342224).body, {}, 53.016342224),  # the detail says 53s, the message more
        (quota(MINUTE, retry_s=0.5).body, {"Retry-After": "2"}, 2),
        (quota(MINUTE, retry_s=9.0).body, {"retry-after": "2"}, 9),
        (quota(MINUTE).body, {"RETRY-AFTER": "1.5"}, 1.5),
        (quota(MINUTE).body, {}, None),
        (REFUSALS["429-message"]().body, {}, 0.59056),
        ({"error": {"message": "Please try again in 7m12s. Visit us."}}, {}, 432),
        ({"error": {"message": "Your quota will reset after 5h59m59s."}}, {}, 21599),
        ({"error": {"details": [{"retryDelay": {"seconds": "3", "nanos": 5}}]}}, {}, 3),
        ({"error": {"details": [{"retryDelay": "soon"}, "?", {"violations": ["?"]}]}}, {"Retry-After": "later"}, None),
        ({}, {"Retry-After": "Thu, 19 Nov 2026 10:00:30 GMT", "Date": "Thu, 19 Nov 2026 10:00:00 GMT"}, 30),
        ({}, {"Retry-After": "Thu, 19 Nov 2026 09:00:00 GMT", "Date": "Thu, 19 Nov 2026 10:00:00 GMT"}, 0),
        ({}, {"Retry-After": "-5"}, None),
        ({}, {"Retry-After": "nan"}, None),
        ({}, {"Retry-After": "inf"}, None),
        ({}, {"retry-after-ms": "250"}, 0.25),
    ],
)
def test_the_longest_wait_that_is_asked_for_counts(
    body: object, headers: Mapping[str, str], seconds: float | None
) -> None:
    assert of_status(429, body, headers).retry_after_s == (None if seconds is None else pytest.approx(seconds))


def test_the_day_wins_over_the_minute_in_either_order() -> None:
    for ids in ((MINUTE, DAY), (DAY, MINUTE)):
        assert of_status(429, quota(*ids, retry_s=5.0).body).kind is DAY_QUOTA


def test_a_day_quota_is_known_by_its_metadata_or_words_too() -> None:
    info = {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "GenerateContentRequestsPerDayPerProject"}}
    assert of_status(429, error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", info).body).kind is DAY_QUOTA
    said = {"error": {"message": "Rate limit reached on requests per day (RPD): Limit 200.", "code": "rate_limit"}}
    assert of_status(429, said).kind is DAY_QUOTA
    assert of_status(429, {"error": {"message": "today's weather", "code": "insufficient_quota"}}).kind is FATAL


def test_a_row_of_a_batch_is_refused_by_codes_of_grpc() -> None:
    assert of_status(8, {"code": 8, "message": "Resource exhausted"}).kind is RATE
    assert of_status(13, {"code": 13, "message": "Internal"}).kind is TRANSIENT
    fault = of_status(3, {"code": 3, "message": "Bad argument"})
    assert (fault.kind, fault.code) == (ROW, 400)


@pytest.mark.parametrize("body", [None, "", [], {}, {"error": "gone"}, {"error": {"message": 7, "details": "x"}}, 12])
def test_any_body_at_all_has_a_message(body: object) -> None:
    fault = of_status(503, body)
    assert fault.kind is TRANSIENT
    assert str(fault).endswith("(HTTP 503)")


def test_a_success_that_is_none_may_be_billed() -> None:
    assert of_status(204, None).maybe_billed
    assert of_status(204, None).kind is TRANSIENT


def test_secrets_are_blotted_out_before_a_message_is_cut() -> None:
    key = "k" * 40
    text = "x" * (MAX_MESSAGE - 20) + key
    fault = of_status(500, {"error": {"message": text, "details": [{"reason": key}]}}, secrets=(key,))
    assert len(fault.message) <= MAX_MESSAGE
    assert "kkk" not in repr(fault)
    assert "kkk" not in json.dumps(fault.body)


def test_keys_and_tokens_of_google_are_known_by_their_form() -> None:
    said = without("AIza" + "A1b2-" * 7 + " and ya29.a0Af_-x.y; Bearer of news", ())
    assert said == "[secret] and [secret]; Bearer of news"


@pytest.mark.parametrize(
    ("raised", "kind", "billed"),
    [
        (TimeoutError(), TRANSIENT, True),
        (aiohttp.ServerDisconnectedError(), TRANSIENT, True),
        (aiohttp.ClientOSError(104, "reset"), TRANSIENT, True),
        (aiohttp.ClientPayloadError("cut"), TRANSIENT, True),
        (ConnectionResetError("reset"), TRANSIENT, True),
        (aiohttp.ConnectionTimeoutError("connecting"), TRANSIENT, False),
        (TransportError("metadata server"), TRANSIENT, False),
        (RefreshError("try later", retryable=True), TRANSIENT, False),
        (RefreshError("revoked"), FATAL, False),
        (DefaultCredentialsError("none"), FATAL, False),
        (aiohttp.InvalidURL("nowhere"), FATAL, False),
    ],
)
def test_a_broken_connection_is_told_from_one_that_never_was(raised: Exception, kind: FaultKind, billed: bool) -> None:
    fault = of_error(raised)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.maybe_billed, fault.code) == (kind, billed, 0)


@pytest.mark.parametrize(
    "raised", [TypeError("x"), ValueError("x"), KeyError("x"), AttributeError("x"), OSError(28, "full")]
)
def test_a_mistake_of_ours_is_no_fault_of_the_provider(raised: Exception) -> None:
    assert of_error(raised) is None


@pytest.mark.parametrize(
    ("code", "body", "kind", "clause"),
    [
        (400, {"error": {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}},
         FATAL, "add credits"),
        (429, {"error": {"message": "Account is not active.", "code": "billing_not_active"}}, FATAL, "add credits"),
        (400, {"error": {"message": "Budget has been exceeded! Current cost: 10", "type": "budget_exceeded"}},
         FATAL, "add credits"),
        (400, {"error": {"message": "Invalid model name passed in model=m", "code": "400"}}, FATAL, "--medium-model"),
        (404, {"detail": "Not Found"}, FATAL, "Not Found"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "too large"}]}, ROW, "too large"),
        (308, "", FATAL, "check the base URL"),
    ],
)  # fmt: skip
def test_other_servers_say_it_in_their_own_words(code: int, body: object, kind: FaultKind, clause: str) -> None:
    fault = of_status(code, body)
    assert fault.kind is kind
    assert clause in str(fault)
