"""A gate as plain functions of a clock that stands until a test moves it."""

import random
from datetime import UTC, datetime, timedelta

from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.permit import Permit
from routecal.tasks.oracle.rate_limit.project_limits import Limits
from tests.tasks.oracle.rate_limit.sending import poll


class Desk:
    """A gate and its two clocks."""

    def __init__(self, **limits: object) -> None:
        self.now = 50.0
        self.gate = RateLimiter(
            "gemini-x",
            Limits(**limits),
            clock=lambda: self.now,
            wall=lambda: datetime(2026, 11, 22, 20, tzinfo=UTC) + timedelta(seconds=self.now),
            rng=random.Random(0),
        )

    def take(self, **amounts: float) -> Permit:
        """A permit that is to be had now."""
        permit = poll(self.gate, **amounts)
        assert isinstance(permit, Permit)
        return permit

    def wait_s(self, **amounts: float) -> float:
        """The wait of a call that has to."""
        wait_s = poll(self.gate, **amounts)
        assert isinstance(wait_s, float)
        assert wait_s > 0.0
        return wait_s
