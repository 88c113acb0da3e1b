"""Error bodies of the real service, as they were reported in public issues, by the name a script calls them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_RPC = "type.googleapis.com/google.rpc."
_QUOTA = "You exceeded your current quota, please check your plan and billing details."


class Refusal(NamedTuple):
    """An HTTP error."""

    status: int
    body: Any
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


def error(status: int, name: str, message: str, *details: dict[str, Any], **headers: str) -> Refusal:
    """A google.rpc.Status as JSON."""
    body: dict[str, Any] = {"code": status, "message": message, "status": name}
    if details:
        body["details"] = list(details)
    return Refusal(status, {"error": body}, {k.replace("_", "-"): v for k, v in headers.items()})


def quota(*quota_ids: str, retry_s: float | None = None, value: int = 1000, **headers: str) -> Refusal:
    """429 that names the quotas it is about."""
    help_ = {
        "@type": f"{_RPC}Help",
        "links": [{"description": "Learn more about Gemini API quotas", "url": "https://"}],
    }
    violations = [
        {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
            "quotaId": name,
            "quotaDimensions": {"location": "global", "model": "m"},
            "quotaValue": str(value),
        }
        for name in quota_ids
    ]
    details: list[dict[str, Any]] = [help_, {"@type": f"{_RPC}QuotaFailure", "violations": violations}]
    message = _QUOTA
    if retry_s is not None:
        details.append(
            {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{int(retry_s)}s" if retry_s >= 1 else f"{retry_s}s"}
        )
        message += f" Please retry in {retry_s:.9f}s."
    return error(429, "RESOURCE_EXHAUSTED", message, *details, **headers)


MINUTE = "GenerateRequestsPerMinutePerProjectPerModel"
MINUTE_TOKENS = "GenerateContentPaidTierInputTokensPerModelPerMinute"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"

_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_BAD_KEY = {
    "@type": f"{_RPC}ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}


def _wrapped(refusal: Refusal) -> Refusal:
    return refusal._replace(body=[refusal.body])


REFUSALS: dict[str, Callable[[], Refusal]] = {
    "429": lambda: quota(MINUTE, retry_s=3.0),
    "429-tokens": lambda: quota(MINUTE_TOKENS, retry_s=53.016342224, value=1_000_000),
    "429-header": lambda: quota(MINUTE, Retry_After="4"),
    "429-message": lambda: error(429, "RESOURCE_EXHAUSTED", f"{_QUOTA} Please retry in 590.56ms."),
    "429-day": lambda: quota(DAY, retry_s=36.429760048, value=20),
    "429-day-and-minute": lambda: quota(MINUTE, DAY, retry_s=5.0),
    "429-bare": lambda: error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "429-html": lambda: Refusal(429, "<html>Too Many Requests</html>", {"Retry-After": "7"}, "text/html"),
    "429-none": lambda: error(
        429, "RESOURCE_EXHAUSTED", f"{_QUOTA}\n* Quota exceeded for metric: free_tier_requests, limit: 0, model: m"
    ),
    "429-credits": lambda: error(
        429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please manage your project and billing."
    ),
    "429-month": lambda: error(
        429, "RESOURCE_EXHAUSTED", "Your project has exceeded its monthly spending cap. Please manage your spend cap."
    ),
    "500": lambda: error(500, "INTERNAL", "An internal error has occurred. Please retry or report the problem."),
    "503": lambda: error(
        503,
        "UNAVAILABLE",
        "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
        "Please try again later.",
    ),
    "504": lambda: error(504, "DEADLINE_EXCEEDED", "The request timed out. Please try again."),
    "408": lambda: error(408, "DEADLINE_EXCEEDED", "Request timeout."),
    "499": lambda: error(499, "CANCELLED", "The operation was cancelled."),
    "502-html": lambda: Refusal(502, _HTML, content_type="text/html"),
    "502-html-as-json": lambda: Refusal(502, _HTML),
    "400-key": lambda: error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", _BAD_KEY),
    "400-argument": lambda: error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "400-region": lambda: error(
        400, "FAILED_PRECONDITION", "User location is not supported for the API use without a billing account linked."
    ),
    "401": lambda: error(
        401, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token."
    ),
    "403": lambda: error(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
    "404": lambda: error(
        404, "NOT_FOUND", "models/m is not found for API version v1, or is not supported for generateContent."
    ),
    "413": lambda: Refusal(413, "<html>Request Entity Too Large</html>", content_type="text/html"),
    "503-list": lambda: _wrapped(error(503, "UNAVAILABLE", "The service is currently unavailable.")),
    "429-list": lambda: _wrapped(quota(MINUTE, retry_s=3.0)),
    "429-vertex": lambda: error(
        429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later. Please refer to the error code page."
    ),
    "403-vertex": lambda: error(
        403,
        "PERMISSION_DENIED",
        "Permission 'aiplatform.endpoints.predict' denied on resource '//aiplatform.googleapis.com/projects/p'.",
        {
            "@type": f"{_RPC}ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "aiplatform.googleapis.com",
            "metadata": {"permission": "aiplatform.endpoints.predict", "resource": "projects/p/locations/global"},
        },
    ),
}
