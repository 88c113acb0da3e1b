"""The gate as plain functions of a clock that stands until a test moves it."""

import math
import pickle

import pytest
from pydantic import ValidationError

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.rate_limit.permit import Permit
from routecal.tasks.oracle.rate_limit.project_limits import Limits, QuotaTooSmall
from routecal.tasks.oracle.rate_limit.sliding_window import HEADROOM
from tests.tasks.oracle.rate_limit.desk import Desk
from tests.tasks.oracle.rate_limit.sending import poll


def test_without_limits_only_width_counts():
    desk = Desk()
    permits = [desk.take(tokens=10**6, usd=10.0) for _ in range(16)]
    assert poll(desk.gate) is None
    assert (desk.gate.binding, desk.gate.in_flight, desk.gate.admitted) == ("concurrency", 16, 16)
    permits[0].succeeded()
    assert desk.gate.concurrency == 17
    assert desk.gate.binding == ""


def test_no_limit_of_concurrency_is_none():
    desk = Desk(concurrency=None)
    for _ in range(500):
        desk.take()


@pytest.mark.parametrize(
    ("limits", "amounts", "words"),
    [
        ({"tpm": 100_000}, {"tokens": 200_000}, "takes 200,000 of tpm, which allows 100,000 in all; raise tpm"),
        ({"usd_per_10min": 0.5}, {"usd": 0.75}, "may cost 0.7500 USD, and usd_per_10min allows 0.5000"),
    ],
)
def test_a_request_that_can_never_fit_is_refused_at_once_with_the_remedy(limits, amounts, words):
    desk = Desk(**limits)
    with pytest.raises(QuotaTooSmall, match=words) as caught:
        poll(desk.gate, **amounts)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert desk.gate.binding == ""
    # Exactly the limit fits, and an answer that took more than it is no error.
    permit = desk.take(tokens=100_000, usd=0.5)
    permit.succeeded(tokens=300_000, usd=1.0)


@pytest.mark.parametrize("amounts", [{"tokens": -1}, {"usd": -0.1}, {"usd": math.nan}, {"usd": math.inf}])
def test_amounts_below_nothing_are_refused(amounts):
    with pytest.raises(ValueError, match="both must be 0 or more"):
        poll(Desk(tpm=100, usd_per_10min=1.0).gate, **amounts)


def test_limits_refuse_nonsense():
    for wrong in ({"rpm": 0}, {"rpm": math.inf}, {"tpm": -5}, {"concurrency": 0}, {"rpn": 5}, {"usd_window_s": 0}):
        with pytest.raises(ValidationError):
            Limits(**wrong)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, math.nan])
def test_a_share_is_a_part(share):
    with pytest.raises(ValueError, match="is not in"):
        Desk().gate.share = share


def test_each_quota_makes_the_next_wait_and_says_so():
    # A request takes the pace's credit of a second or more of each, so the next has to wait.
    for limits, binding in (({"rpm": 6}, "rpm"), ({"tpm": 600}, "tpm"), ({"usd_per_10min": 6.0}, "usd")):
        desk = Desk(**limits)
        desk.take(tokens=100, usd=1.0)
        desk.now += desk.wait_s(tokens=100, usd=1.0) / 2
        assert desk.gate.binding == binding
        desk.now += desk.wait_s(tokens=100, usd=1.0) + 1e-6
        desk.take(tokens=100, usd=1.0)


def test_of_two_quotas_the_one_that_lasts_longer_binds():
    desk = Desk(rpm=60, tpm=600)
    desk.take(tokens=500)
    assert desk.gate.binding == "tpm"
    assert desk.wait_s(tokens=100) == pytest.approx(500 / 600 * 60 / HEADROOM, abs=1.5)


def test_less_than_one_request_per_minute_is_one_in_more_than_a_minute():
    desk = Desk(rpm=0.5)
    desk.take()
    assert desk.wait_s() == pytest.approx(120.0 / HEADROOM)


def test_a_share_scales_every_quota_but_not_concurrency():
    desk = Desk(rpm=600, tpm=60_000, usd_per_10min=100.0)
    desk.gate.share = 0.25
    n = 0
    start = desk.now
    while desk.now < start + 300.0:
        leave = poll(desk.gate, tokens=1, usd=0.0)
        if isinstance(leave, Permit):
            leave.succeeded()
            n += 1
        else:
            desk.now += leave
    assert 0.95 * 750 <= n <= 750 + 3
    assert (desk.gate.share, desk.gate.concurrency) == (0.25, 16)


def test_what_was_not_used_can_be_used_by_the_next():
    desk = Desk(tpm=1000)
    desk.take(tokens=1000).succeeded(tokens=100)
    desk.now += 10.0
    assert desk.wait_s(tokens=901) > 40.0
    desk.take(tokens=900)


def test_a_refused_call_costs_no_money_but_one_that_may_be_billed_does():
    for billed in (False, True):
        desk = Desk(usd_per_10min=1.0)
        desk.take(usd=1.0).failed(Fault(FaultKind.TRANSIENT, 0, "cut off", maybe_billed=billed))
        assert isinstance(poll(desk.gate, usd=1.0), float if billed else Permit)


def test_cancelled_counts_as_used_withdrawn_does_not():
    desk = Desk(rpm=1, tpm=1000, usd_per_10min=1.0)
    desk.take(tokens=1000, usd=1.0).withdraw()
    assert (desk.gate.admitted, desk.gate.in_flight) == (0, 0)
    desk.take(tokens=1000, usd=1.0).cancel()
    assert (desk.gate.admitted, desk.gate.in_flight) == (1, 0)
    assert desk.wait_s(tokens=1) > 50.0


def test_what_was_settled_was_sent_and_is_not_withdrawn():
    desk = Desk(tpm=1000)
    permit = desk.take(tokens=1000)
    permit.settle(tokens=600)
    permit.withdraw()
    assert desk.wait_s(tokens=500) > 50.0
    assert desk.gate.in_flight == 0
