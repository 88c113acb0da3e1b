"""What the gate does after faults: one pause, one cut, and one probe of a day's quota."""

import pytest

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.rate_limit.daily_quota import DayQuotaReached
from routecal.tasks.oracle.rate_limit.project_limits import NoProgress
from tests.tasks.oracle.rate_limit.desk import Desk
from tests.tasks.oracle.rate_limit.sending import poll

RATE = Fault(FaultKind.RATE, 429, "too fast")
DAY = Fault(FaultKind.DAY_QUOTA, 429, "enough for today", 36.0)
BUSY = Fault(FaultKind.TRANSIENT, 503, "high demand")
BROKEN = Fault(FaultKind.TRANSIENT, 500, "internal")


def test_a_ticket_ends_once():
    desk = Desk()
    permit = desk.take()
    permit.succeeded()
    for end in (permit.succeeded, lambda: permit.failed(RATE)):
        with pytest.raises(RuntimeError, match="has ended before"):
            end()
    permit.cancel()
    permit.withdraw()
    assert desk.gate.in_flight == 0
    assert desk.gate.throttled == 0


def test_64_calls_refused_together_are_one_pause_and_one_cut():
    desk = Desk()
    desk.gate._width._width = 64.0
    permits = [desk.take() for _ in range(64)]
    for permit in permits:
        permit.failed(RATE)
    assert (desk.gate.throttled, desk.gate.concurrency) == (64, 51)
    assert 1.0 <= desk.wait_s() <= 1.1
    assert desk.gate.binding == "cool-down"
    desk.now += desk.wait_s()
    desk.take().failed(RATE)
    assert desk.gate.concurrency == 40
    assert 2.0 <= desk.wait_s() <= 2.2


def test_only_503_among_transient_faults_cuts_and_none_pauses():
    desk = Desk()
    desk.take().failed(BROKEN)
    assert desk.gate.concurrency == 16
    desk.take().failed(BUSY)
    assert desk.gate.concurrency == 14
    desk.take()
    assert desk.gate.throttled == 0


def test_rate_errors_for_a_quarter_of_an_hour_end_the_run():
    desk = Desk()
    slow, start = desk.take(), desk.now
    while desk.now < start + 800.0:
        desk.take().failed(RATE)
        desk.now += desk.wait_s()
        # Width is 1 by now, and one call is in flight all the time.
        desk.gate._width._width = 2.0
    desk.take().failed(Fault(FaultKind.RATE, 429, "too fast", 100.0))
    with pytest.raises(NoProgress, match="gemini-x"):
        poll(desk.gate)
    assert desk.gate.binding == "cool-down"
    slow.succeeded()
    desk.now += desk.wait_s()
    desk.take()


def test_the_day_is_settled_by_one_probe():
    desk = Desk()
    permits = [desk.take() for _ in range(8)]
    for permit in permits:
        permit.failed(DAY)
    assert desk.wait_s() == 36.0
    assert desk.gate.binding == "day quota"
    desk.now += 36.0
    probe = desk.take()
    assert poll(desk.gate) is None
    assert desk.gate.binding == "day quota"
    # Neither a cancelled probe nor one refused as too fast tells anything.
    probe.cancel()
    probe = desk.take()
    probe.failed(RATE)
    desk.now += 5.0
    desk.take().succeeded()
    after = [desk.take() for _ in range(2)]
    for permit in after:
        permit.failed(DAY)
    desk.now += 36.0
    desk.take().failed(DAY)
    with pytest.raises(DayQuotaReached, match="gemini-x"):
        poll(desk.gate)
    assert desk.gate.binding == "day quota"
    assert desk.gate.throttled == 8 + 1 + 2 + 1
    desk.now += 86_400.0
    desk.take()
