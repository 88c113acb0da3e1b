"""A call under a permit, for as long as a block takes."""

from collections.abc import Iterator
from contextlib import contextmanager

from routecal.tasks.oracle.rate_limit.limiter import Permit


@contextmanager
def sending(permit: Permit) -> Iterator[None]:
    """The permit ends with the block: succeeded, or cancelled where the block raises."""
    try:
        yield
    except BaseException:
        permit.cancel()
        raise
    permit.succeeded()
