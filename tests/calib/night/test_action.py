"""What becomes of a candidate follows from the verdict, the doubts, and what a person says."""

import pytest

from routecal.calib.metrics import Estimate
from routecal.calib.night.action import Judgement, doubts, judgement, renewal_reasons
from routecal.calib.night.head_health import Health
from routecal.calib.night.outcome_shift import OutcomeShift
from routecal.calib.night.promotion_gate import Condition, GateVerdict
from routecal.calib.night.query_drift import Drift

PASSED = GateVerdict(
    n=500, conditions=(Condition(name="brier", is_met=True, reason="it is no worse"),), facts=("it costs",)
)
REFUSED = GateVerdict(n=500, conditions=(Condition(name="brier", is_met=False, reason="it may be worse"),))
DOUBT = ("outcomes moved",)
DRIFT = Drift(column="confidence", statistic=0.4, p_value=1e-9, is_found=True, n_before=500, n_now=500)
ILL = Health(n=500, ece=Estimate(value=0.1, low=0.05, high=0.15), noise_high=0.03)


def test_a_change_of_outcomes_is_doubted_unless_queries_changed_too() -> None:
    shift = OutcomeShift(reasons=("outcomes moved",))
    assert doubts(shift, None)[0] == doubts(shift, ILL)[0] == "outcomes moved"
    assert doubts(shift, ILL)[1].startswith("queries did not change")
    assert doubts(shift, ILL.model_copy(update={"drift": DRIFT})) == ()
    assert doubts(OutcomeShift(), None) == ()


@pytest.mark.parametrize(("age", "n"), [(9, 0), (10, 1), (11, 1)])
def test_a_head_is_renewed_from_its_age_on(age: int, n: int) -> None:
    found = renewal_reasons(None, age=age, renew_after=10)
    assert len(found) == n
    assert all(reason.startswith(f"the serving head is {age} labelled nights old") for reason in found)


def test_a_head_is_renewed_for_what_its_health_complains_of_and_not_for_want_of_rows() -> None:
    assert renewal_reasons(ILL, age=1, renew_after=10) == ILL.complaints
    assert len(renewal_reasons(ILL, age=10, renew_after=10)) == 2
    assert renewal_reasons(Health(n=10), age=1, renew_after=10) == ()
    assert renewal_reasons(None, age=9999, renew_after=None) == ()


def test_what_the_gate_refuses_is_refused_whatever_else() -> None:
    for require in (False, True):
        found = judgement(REFUSED, DOUBT, require_approval=require)
        assert found == Judgement(action="refused", reasons=("it may be worse", "outcomes moved"))


def test_what_passes_is_promoted_for_the_reasons_of_the_gate() -> None:
    assert judgement(PASSED, (), require_approval=False) == Judgement(
        action="promoted", reasons=("it is no worse", "it costs")
    )


def test_what_is_doubted_waits_and_nobody_is_asked_in_the_night() -> None:
    assert judgement(PASSED, DOUBT, require_approval=False) == Judgement(action="waiting", reasons=DOUBT)


@pytest.mark.parametrize("doubted", [(), DOUBT])
def test_with_approval_required_a_person_is_asked_and_hears_doubts_first(doubted: tuple[str, ...]) -> None:
    found = judgement(PASSED, doubted, require_approval=True)
    assert found == Judgement(action="waiting", reasons=(*doubted, "it is no worse", "it costs"), asks=True)


def test_what_could_displace_a_head_that_it_was_not_compared_with_waits() -> None:
    found = judgement(PASSED, (), require_approval=False, displaced="another router serves")
    assert found == Judgement(action="waiting", reasons=("another router serves",))
    found = judgement(PASSED, DOUBT, require_approval=True, displaced="another router serves")
    assert found.reasons == ("another router serves", *DOUBT, "it is no worse", "it costs")
    assert judgement(REFUSED, (), require_approval=False, displaced="another router serves").action == "refused"
