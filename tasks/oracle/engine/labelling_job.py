"""One labelling run inside the engine: its budget, its count, and why it stops."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType

from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.money.budget import Budget
from routecal.tasks.oracle.money.pricing import Prices


@dataclass(slots=True)
class Tally:
    """Counts of one run, for the progress line and the closing table."""

    rows: int = 0  # all the run has to label
    done: int = 0  # rows with a label or a reason why not
    calls: int = 0  # answered by the provider in this run
    reused: int = 0  # found in the ledger
    prefetched: int = 0  # of `calls`, by batch jobs: they are found in the ledger, too
    taken_over: int = 0  # in flight when an earlier process died: asked again, perhaps paid twice
    usd: float = 0.0  # known cost of `calls`
    uncounted: int = 0  # of `calls`, those whose cost is not known
    renewed: int = 0  # responses of earlier runs that were of no use, and bought again
    retries: Counter[str] = field(default_factory=Counter)  # by kind of fault
    unlabelled: Counter[str] = field(default_factory=Counter)  # by reason
    stages: Counter[str] = field(default_factory=Counter)  # calls by what for


class Job:
    """State of one run, touched from the engine's event loop alone, but for `stop`."""

    def __init__(self, pace: Pace, prices: Prices, budget: Budget, rows: int) -> None:
        self.pace, self.prices, self.budget = pace, prices, budget
        self.tally = Tally(rows=rows)
        self.started = time.monotonic()
        self.reason: Exception | None = None
        self._where: TracebackType | None = None
        self.stopping = asyncio.Event()
        # Open batch jobs by display name: their state, and since when.
        self.batches: dict[str, tuple[str, datetime]] = {}

    def stop(self, reason: Exception) -> None:
        """Send nothing more; the first reason stays. From the event loop."""
        if self.reason is None:
            self.reason, self._where = reason, reason.__traceback__
        self.stopping.set()

    def check(self) -> None:
        """Raise the reason once there is one."""
        if self.reason is not None:
            # Raised by everyone who works for the job: each would add the way it took to the others'.
            raise self.reason.with_traceback(self._where)

    @contextlib.contextmanager
    def stopped_by_errors(self, *, but_for: tuple[type[Exception], ...]) -> Iterator[None]:
        """Stop where the block fails: all else would fail alike, for want of money, quota or disk, or by our fault.

        Args:
            but_for: errors that concern one call or one shard.
        """
        try:
            yield
        except but_for:
            raise
        except Exception as error:
            self.stop(error)
            raise

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
