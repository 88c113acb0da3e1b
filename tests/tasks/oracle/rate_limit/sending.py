"""A call under a permit, for as long as a block takes, and a look past the line."""

from collections.abc import Iterator
from contextlib import contextmanager

from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from routecal.tasks.oracle.rate_limit.permit import Permit


@contextmanager
def sending(permit: Permit) -> Iterator[None]:
    """The permit ends with the block: succeeded, or cancelled where the block raises."""
    try:
        yield
    except BaseException:
        permit.cancel()
        raise
    permit.succeeded()


def poll(gate: RateLimiter, *, tokens: int = 0, usd: float = 0.0) -> Permit | float | None:
    """Ask once, past the line: a permit, or the seconds to wait, or None if somebody must end first."""
    permit, wait_s = gate._poll(gate._demand(tokens, usd))
    return wait_s if permit is None else permit
