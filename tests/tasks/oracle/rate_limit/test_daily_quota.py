import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.rate_limit.daily_quota import RESET_ZONE, DayBreaker, DayQuotaReached, next_reset

NOON = datetime(2026, 11, 22, 20, tzinfo=UTC)


class Day:
    """A breaker with a time of day that a test moves."""

    def __init__(self) -> None:
        self.at = NOON
        self.breaker = DayBreaker("m", lambda: self.at)

    def refuse(self, now: float, retry_after_s: float | None = 36.0, *, number: int, sent: int, probe: bool = False):
        self.breaker.refused(now, retry_after_s, number=number, sent=sent, probe=probe)


@pytest.fixture
def day() -> Day:
    return Day()


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-11-22T12:00:00+00:00", "2026-11-23T08:00:00+00:00"),
        ("2026-11-23T07:59:59+00:00", "2026-11-23T08:00:00+00:00"),
        ("2026-11-23T08:00:00+00:00", "2026-11-24T08:00:00+00:00"),
        ("2026-07-01T12:00:00+02:00", "2026-07-02T07:00:00+00:00"),
        # Clocks go forward on 8 March 2026 and back on 1 November 2026: days of 23 and 25 hours.
        ("2026-03-08T08:00:00+00:00", "2026-03-09T07:00:00+00:00"),
        ("2026-03-08T07:59:00+00:00", "2026-03-08T08:00:00+00:00"),
        ("2026-11-01T07:00:00+00:00", "2026-11-02T08:00:00+00:00"),
        # The hour that comes twice, both times.
        ("2026-11-01T08:30:00+00:00", "2026-11-02T08:00:00+00:00"),
        ("2026-11-01T09:30:00+00:00", "2026-11-02T08:00:00+00:00"),
    ],
)
def test_the_quota_is_new_at_midnight_in_los_angeles(now, midnight):
    assert next_reset(datetime.fromisoformat(now)) == datetime.fromisoformat(midnight)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)))
def test_midnight_is_ahead_and_within_25_hours(now):
    reset = next_reset(now)
    # In UTC: of two times in one zone Python subtracts what the clocks show.
    assert timedelta() < reset.astimezone(UTC) - now <= timedelta(hours=25)
    assert (reset.hour, reset.minute, reset.second) == (0, 0, 0)
    assert reset.tzinfo is RESET_ZONE


def test_one_probe_goes_and_its_success_lets_all_go(day):
    day.refuse(100.0, number=3, sent=8)
    assert day.breaker.wait_s(100.0) == 36.0
    assert day.breaker.wait_s(136.0) == 0.0
    assert day.breaker.admit()
    assert day.breaker.wait_s(136.0) is None
    day.breaker.succeeded(probe=False)
    assert day.breaker.wait_s(136.0) is None
    day.breaker.succeeded(probe=True)
    assert day.breaker.wait_s(136.0) == 0.0
    assert not day.breaker.admit()


def test_a_refused_probe_ends_the_day_until_midnight(day):
    day.refuse(100.0, number=3, sent=8)
    day.breaker.admit()
    day.refuse(140.0, number=9, sent=9, probe=True)
    with pytest.raises(DayQuotaReached, match="resume after 2026-11-23 00:00 PST") as caught:
        day.breaker.wait_s(10_000.0)
    assert caught.value.resume_at == datetime(2026, 11, 23, 8, tzinfo=UTC)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.resume_at, again.model) == (str(caught.value), caught.value.resume_at, "m")
    day.at = caught.value.resume_at - timedelta(seconds=1)
    with pytest.raises(DayQuotaReached):
        day.breaker.wait_s(10_000.0)
    day.at = caught.value.resume_at
    assert day.breaker.wait_s(10_000.0) == 0.0
    assert not day.breaker.admit()
    # A new day may end, too.
    day.refuse(10_001.0, number=10, sent=10)
    assert day.breaker.wait_s(10_001.0) == 36.0


def test_refusals_of_calls_sent_before_say_nothing_new(day):
    for number in range(1, 9):
        day.refuse(100.0 + number, number=number, sent=8)
    assert day.breaker.wait_s(101.0) == 36.0
    day.breaker.admit()
    day.refuse(137.5, number=7, sent=9)
    day.breaker.succeeded(probe=True)
    day.refuse(138.0, number=8, sent=9)
    assert day.breaker.wait_s(138.0) == 0.0


def test_a_probe_that_tells_nothing_is_followed_by_another(day):
    day.refuse(0.0, number=1, sent=1)
    day.breaker.admit()
    day.breaker.undecided(40.0)
    assert day.breaker.wait_s(40.0) == 5.0
    assert day.breaker.wait_s(45.0) == 0.0
    assert day.breaker.admit()
    day.refuse(46.0, number=3, sent=3, probe=True)
    with pytest.raises(DayQuotaReached):
        day.breaker.wait_s(46.0)


@pytest.mark.parametrize("said", [None, 0.0, -1.0, float("nan")])
def test_without_a_usable_time_the_probe_goes_after_a_minute(day, said):
    day.refuse(0.0, said, number=1, sent=1)
    assert day.breaker.wait_s(0.0) == 60.0


@pytest.mark.parametrize(("said", "resume_at"), [(7200.0, NOON + timedelta(hours=2)), (1e9, next_reset(NOON))])
def test_a_time_too_long_to_stand_still_ends_the_run_without_a_probe(day, said, resume_at):
    day.refuse(0.0, said, number=1, sent=1)
    with pytest.raises(DayQuotaReached) as caught:
        day.breaker.wait_s(0.0)
    assert caught.value.resume_at == resume_at
