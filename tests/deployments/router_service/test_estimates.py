"""A probability is told only beside a promise that holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from routecal.calib.decision import Decision
from routecal.calib.feedback.action import Action
from routecal.calib.policy import Policy
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.guarantee import Bound, Guarantee
from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.estimates import estimate

HASHES = dict.fromkeys(("head", "router", "template", "needs", "labels", "prices"), "0" * 64)
PROMISE = Guarantee(
    promise=Promise(risk="loss", at_most=0.01),
    n=500,
    threshold=0.1,
    kept=0.5,
    bound=Bound(**HASHES),
    made_at=datetime.now(UTC) - timedelta(days=1),
)
SURE = Decision(Policy.STANDARD, 0.9, False, "abc", 0.5, guarantee=PROMISE)


def told(decision: Decision | None, *, status: str = "ok", override: str = "", alarm: str = "") -> Any:
    served = Served("q", decision, Action(decision is None, 1.0, override=override), status)
    router: Any = SimpleNamespace(alarm=alarm, serving=SimpleNamespace(head_version="now"))
    return estimate(served, router)


def test_where_a_promise_holds_the_probability_is_told() -> None:
    found = told(SURE)
    assert (found.status, found.probability, found.sample_count) == ("calibrated", 0.9, 500)
    assert found.freshness_seconds >= 86_400
    # The head that decided, whichever is in force by now.
    assert found.calibration_version == "abc"


@pytest.mark.parametrize(
    ("decision", "more", "status", "reason"),
    [
        (None, {"status": "fallback", "override": "no decision: x"}, "unsupported", "no decision: x"),
        (SURE, {"status": "unlike"}, "unsupported", "unlike those that the head was calibrated on"),
        (SURE, {"alarm": "its error rose"}, "conflict", "its error rose"),
        # A folder whose promise is void, by another threshold, say, has none any more.
        (replace(SURE, guarantee=None, no_guarantee="no guarantee: x"), {}, "insufficient_evidence", "no guarantee: x"),
        (replace(SURE, guarantee=PROMISE.model_copy(update={"n": 99})), {}, "insufficient_evidence", "99 labelled"),
    ],
)
def test_without_one_it_is_not(decision: Decision | None, more: dict[str, str], status: str, reason: str) -> None:
    found = told(decision, **more)
    assert (found.status, found.probability) == (status, None)
    assert reason in found.fallback_reason
