"""The daily quota of a model: whether it is really spent is settled by one probe."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from routecal.tasks.errors import TaskError

# Daily quotas of the Gemini API reset at midnight here.
RESET_ZONE = ZoneInfo("America/Los_Angeles")

# When the provider does not say how long to wait before the probe: a quota per minute would be over by then.
_PROBE_AFTER_S = 60.0
# Waiting longer than this for a probe is a run that stands still; it is resumed later instead.
_PROBE_WITHIN_S = 600.0
# After a probe that failed for another reason.
_PROBE_AGAIN_S = 5.0


class DayQuotaReached(TaskError):
    """The model answers nothing more today; the run can be resumed.

    Args:
        model: asked.
        resume_at: when the quota is new, with its time zone.
    """

    model: str
    resume_at: datetime

    def __str__(self) -> str:
        return (
            f"the project's quota of {self.model} for today is used up; what is finished is kept: resume after "
            f"{self.resume_at:%Y-%m-%d %H:%M %Z} ({self.resume_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"
        )


def next_reset(now: datetime) -> datetime:
    """The next midnight in Los Angeles, strictly after `now` (which has a time zone).

    Clocks change there at 2 o'clock, so midnight exists exactly once on every day.

    >>> str(next_reset(datetime(2026, 11, 22, 12, tzinfo=UTC)))
    '2026-11-23 00:00:00-08:00'
    """
    tomorrow = now.astimezone(RESET_ZONE).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), RESET_ZONE)


class DayBreaker:
    """Closed until a call is refused for the day; then one probe, then closed again or open until the reset.

    The provider sends the same refusal, with seconds to wait, for quotas that are back in seconds and for quotas that
    are back tomorrow. The probe tells them apart for the price of one request.

    Args:
        model: for the error.
        wall: the time of day, with a time zone.
    """

    def __init__(self, model: str, wall: Callable[[], datetime]) -> None:
        self._model, self._wall = model, wall
        self._probe_at: float | None = None
        self._probing = False
        self._resume_at: datetime | None = None
        self._opened_after = 0

    def wait_s(self, now: float) -> float | None:
        """Seconds until a call may go, 0 when now, None when it depends on the probe in flight.

        Raises:
            DayQuotaReached: not before the reset.
        """
        if self._resume_at is not None:
            if self._wall() < self._resume_at:
                raise DayQuotaReached(self._model, self._resume_at)
            self._resume_at = None
        if self._probe_at is None:
            return 0.0
        return None if self._probing else max(0.0, self._probe_at - now)

    def admit(self) -> bool:
        """Let a call go; True if it is the probe."""
        self._probing = self._probe_at is not None
        return self._probing

    def refused(self, now: float, retry_after_s: float | None, *, number: int, sent: int, probe: bool) -> None:
        """A call was refused for the day.

        Args:
            now: monotonic seconds.
            retry_after_s: what the provider asks to wait.
            number: of the call; calls are numbered as they are admitted.
            sent: number of the last call admitted so far.
            probe: whether it was the probe.
        """
        if probe:
            self._spent(next_reset(self._wall()))
        elif number > self._opened_after and self._probe_at is None and self._resume_at is None:
            self._opened_after = sent
            wait_s = retry_after_s if retry_after_s is not None and retry_after_s > 0 else _PROBE_AFTER_S
            if wait_s > _PROBE_WITHIN_S:
                # In UTC: in a zone Python adds to what the clock shows, whatever happens to clocks that night.
                requested = self._wall().astimezone(UTC) + timedelta(seconds=min(wait_s, 86400.0))
                self._spent(min(next_reset(self._wall()), requested.astimezone(RESET_ZONE)))
            else:
                self._probe_at = now + wait_s

    def succeeded(self, *, probe: bool) -> None:
        """A call was answered; the probe's answer lets all others go."""
        if probe:
            self._probe_at, self._probing = None, False

    def undecided(self, now: float, *, again_s: float = _PROBE_AGAIN_S) -> None:
        """The probe ended without telling anything; another one goes `again_s` seconds from now."""
        if self._probing:
            self._probe_at, self._probing = now + again_s, False

    def _spent(self, resume_at: datetime) -> None:
        self._resume_at, self._probe_at, self._probing = resume_at, None, False
