"""What is known of a decision, in the names that routers have agreed on (vLLM semantic-router, proposal #3480).

A probability stands only beside the status `calibrated`: with all others it would be taken for one that was checked.
"""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.deployments.router_service.decider import Served

Status = Literal["calibrated", "insufficient_evidence", "unsupported", "stale", "conflict"]
# Fewer labelled rows than this bound nothing that anybody would rely on.
FEWEST = 100


class Estimate(BaseModel):
    """How likely the router's policy is right for a query, and what that rests on."""

    status: Status
    probability: float | None = Field(description="that the policy is right; only where calibrated")
    uncertainty: float | None = Field(description="None: not told yet")
    sample_count: int = Field(description="labelled queries that the promise was made on; 0: nothing is promised")
    evidence_scope: Literal["global", "tier", "decision", "cohort"] = "decision"
    freshness_seconds: float | None = Field(description="since the promise was made; None: nothing is promised")
    calibration_version: str = Field(description="of the head")
    fallback_reason: str | None = Field(description="why there is no probability, or why another model serves")


def estimate(served: Served, router: CalibratedRouter) -> Estimate:
    """The estimate of a served query.

    Args:
        served: as decided; what it says of the promise is what held then.
        router: in force now, for alarms against it, and where nothing was decided.
    """
    by = served.by
    guarantee = None if by is None else by.guarantee
    n = 0 if guarantee is None else guarantee.n
    reason = served.action.override or None
    if by is None:
        status: Status = "unsupported"
    elif served.status == "unlike":
        status, reason = "unsupported", "the query is unlike those that the head was calibrated on"
    elif router.alarm:
        status, reason = "conflict", router.alarm
    elif guarantee is None or n < FEWEST:
        status, reason = "insufficient_evidence", reason or by.no_guarantee or f"{n} labelled queries"
    else:
        status = "calibrated"
    return Estimate(
        status=status,
        probability=by.confidence if by is not None and status == "calibrated" else None,
        uncertainty=None,
        sample_count=n,
        freshness_seconds=None if guarantee is None else (datetime.now(UTC) - guarantee.made_at).total_seconds(),
        calibration_version=router.serving.head_version if by is None else by.head_version,
        fallback_reason=reason,
    )
