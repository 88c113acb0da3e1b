"""What every answer says of its decision, in headers: on streams before the first byte, and on errors after it."""

from routecal.deployments.router_service.decider import Served

PREFIX = "x-routecal-"


def reply_headers(served: Served, model: str, head: str) -> list[tuple[str, str]]:
    """Headers of an answer.

    Args:
        served: what was decided.
        model: that is asked.
        head: version of the head in force.

    Returns:
        (name, value), names in lower case, values in ASCII.
    """
    said = {"decision-id": served.id, "model": model, "status": served.status, "head": head}
    if (by := served.by) is not None:
        said |= {
            "policy": by.policy.value,
            "confidence": f"{by.confidence:.4f}",
            "threshold": f"{by.threshold if served.asked_threshold is None else served.asked_threshold:.6g}",
            "escalate": "true" if served.escalates(by) else "false",
        }
        if by.gain is not None:
            said["gain"] = f"{by.gain:.4f}"
    if served.action.override:
        said["reason"] = served.action.override
    return [(PREFIX + name, _ascii(value)) for name, value in said.items()]


def _ascii(value: str) -> str:
    """Headers hold no line ends and no other letters."""
    return " ".join(value.encode("ascii", "backslashreplace").decode().split())[:200]
