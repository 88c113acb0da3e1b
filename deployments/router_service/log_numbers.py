"""What the page shows of the log: read in a thread of its own and kept for some seconds, so that nobody waits."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from routecal.calib.errors import CalibError
from routecal.calib.feedback.live_calibration import LiveCalibration, live_calibration
from routecal.calib.feedback.saved_cost import Costs, SavedCost, saved_cost
from routecal.deployments.router_service.decider import Decider
from routecal.storage.errors import StorageError
from routecal.storage.head_registry import champions, history
from routecal.storage.layout import Home
from routecal.storage.served.graded import graded
from routecal.storage.served.traffic import AnswerCosts, Traffic, Window

logger = logging.getLogger(__name__)

# Numbers are at least so old before they are read again, and so many times as old as reading them took.
KEPT_S, KEPT_TIMES = 5.0, 20.0
# So long a page waits for numbers that are being read; then it shows those before.
WAITS_S = 2.0


@dataclass(frozen=True)
class Numbers:
    """Of a log at one moment.

    Attributes:
        windows: decisions of the last hour, the last day, and all.
        calibration: of the head, or why there is none, in a sentence.
        saved: by all heads, or why nothing can be said, in a sentence.
        n_unpriced: whole answers to decided queries whose price is unknown.
        in_force_since: when the registry put the head in force; None for a head that is in no registry.
    """

    windows: tuple[Window, ...]
    calibration: LiveCalibration | str
    saved: SavedCost | str
    n_unpriced: int
    in_force_since: datetime | None


@dataclass(frozen=True)
class Reading:
    """Numbers, or why there are none.

    Attributes:
        at: when reading began, in UTC.
        head: version of the head that the calibration is of.
        fault: in a sentence; empty where there are numbers.
    """

    at: datetime
    head: str
    numbers: Numbers | None
    fault: str = ""


class LogReader:
    """Reads the log and the registry, seldom; made before the event loop.

    Args:
        log: folder of the decision log.
        decider: whose head is asked about.
    """

    def __init__(self, log: Path, decider: Decider) -> None:
        self._log, self._decider = log, decider
        self._traffic = Traffic(log)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._running: asyncio.Future[None] | None = None
        self._last: Reading | None = None
        self._keep_until = 0.0
        self._graded_at: object = None
        self._calibration: LiveCalibration | str = ""

    async def newest(self) -> Reading | None:
        """What was read last, and just now where that was long ago; None while the log is read for the first time."""
        if self._running is None or (self._running.done() and self._is_due()):
            self._running = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        await asyncio.wait({self._running}, timeout=WAITS_S)
        return self._last

    def close(self) -> None:
        """End the thread, once it has read what it reads."""
        self._thread.shutdown()

    def _is_due(self) -> bool:
        is_other = self._last is None or self._last.head != self._decider.router.serving.head_version
        return is_other or time.monotonic() >= self._keep_until

    def _read(self) -> None:
        began, at, head = time.monotonic(), datetime.now(UTC), self._decider.router.serving.head_version
        try:
            self._last = Reading(at, head, self._numbers(at, head))
        except (OSError, StorageError, duckdb.Error, ValueError) as error:
            logger.error("the page has no numbers: %s", error)
            self._last = Reading(at, head, None, f"the log cannot be read: {error}")
        except Exception as error:
            logger.exception("the page has no numbers")
            self._last = Reading(at, head, None, f"the log cannot be read ({type(error).__name__})")
        took = time.monotonic() - began
        self._keep_until = time.monotonic() + max(KEPT_S, KEPT_TIMES * took)

    def _numbers(self, now: datetime, head: str) -> Numbers:
        costs = self._traffic.answer_costs()
        return Numbers(
            windows=tuple(self._traffic.windows(now)),
            calibration=self._calibrated(head),
            saved=_saved(costs),
            n_unpriced=sum(part.n_unpriced for part in costs),
            in_force_since=self._in_force_since(),
        )

    def _calibrated(self, head: str) -> LiveCalibration | str:
        """Joined anew only where there was feedback: that reads the ids of all decisions."""
        feedback = sorted((path.name, path.stat().st_size) for path in (self._log / "feedback").glob("*.[jp]*"))
        if self._graded_at != (head, feedback):
            self._calibration, self._graded_at = _calibration(self._log, head), (head, feedback)
        return self._calibration

    def _in_force_since(self) -> datetime | None:
        if (champion := self._decider.champion) is None:
            return None
        entries = [entry for entry in history(Home.from_env()) if entry.number <= champion.number]
        return champions(entries)[-1].at


def _calibration(log: Path, head: str) -> LiveCalibration | str:
    """On all decisions of the head of which the medium model's answer was graded."""
    rows = [row for row in graded(log, head=head, columns=["medium_right"]).to_pylist() if row["medium_grade"]]
    told = [row for row in rows if row["medium_right"] is not None]
    if rows and not told:
        return "this head does not say how likely the medium model is right"
    try:
        right = [float(row["medium_grade"] == "CORRECT") for row in told]
        return live_calibration([row["medium_right"] for row in told], right)
    except CalibError as refused:
        return str(refused)


def _saved(parts: list[AnswerCosts]) -> SavedCost | str:
    of = {"medium": Costs(), "large": Costs()}
    for part in parts:
        of[part.served] = of[part.served] + Costs(part.n, part.mean_usd, part.m2, part.m3)
    try:
        return saved_cost(of["medium"], of["large"])
    except CalibError as refused:
        return str(refused)
