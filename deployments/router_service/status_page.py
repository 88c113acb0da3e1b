"""The page at `/`: which head serves and what it promises, what is served, calibration, money, alarms."""

from datetime import UTC, datetime
from importlib.resources import files
from math import floor, log10
from typing import Any

import jinja2

from routecal.calib.feedback.live_calibration import LiveCalibration
from routecal.calib.feedback.saved_cost import SavedCost
from routecal.deployments.router_service.log_numbers import LogReader, Reading
from routecal.deployments.router_service.service import Service

REFRESH_S = 30


class StatusPage:
    """One HTML page that needs nothing else: no script, no font, no file.

    Args:
        service: that it is about.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._began = service, datetime.now(UTC)
        self._reader = LogReader(service.settings.log, service.decider)
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
        environment.filters |= {"percent": percent, "time": time_text, "when": when, "usd": usd}
        text = (files("routecal.deployments.router_service") / "status_page.html").read_text(encoding="utf-8")
        self._template = environment.from_string(text)

    async def html(self) -> str:
        """The page as of now."""
        return self._template.render(self._content(await self._reader.newest()))

    def close(self) -> None:
        """End the thread that reads the log."""
        self._reader.close()

    def _content(self, reading: Reading | None) -> dict[str, Any]:
        service, router = self._service, self._service.decider.router
        numbers = None if reading is None else reading.numbers
        calibration = None if numbers is None else numbers.calibration
        saved = None if numbers is None else numbers.saved
        return {
            "refresh_s": REFRESH_S,
            "head": service.head,
            "decides_by": router.serving.decides_by,
            "threshold": f"{router.serving.threshold:.6g}",
            "began": self._began,
            "is_champion": service.decider.champion is not None,
            "guarantee": None if router.no_guarantee else router.serving.guarantee,
            "no_guarantee": router.no_guarantee,
            "settings": service.settings,
            "alarms": self._alarms(),
            "fault": "" if reading is None else reading.fault,
            "read_at": None if reading is None else reading.at,
            "read_head": None if reading is None else reading.head,
            "numbers": numbers,
            "calibration": calibration if isinstance(calibration, LiveCalibration) else None,
            "no_calibration": calibration if isinstance(calibration, str) else "",
            "bins": _bins(calibration) if isinstance(calibration, LiveCalibration) else [],
            "saved": saved if isinstance(saved, SavedCost) else None,
            "no_saving": saved if isinstance(saved, str) else "",
        }

    def _alarms(self) -> list[tuple[str, str]]:
        """(who says so, what)."""
        service = self._service
        found = [("graded answers and queries", finding) for finding in service.watcher.findings]
        if alarm := service.decider.router.alarm:
            found.append(("the registry" if service.decider.champion else "this process", alarm))
        found += [("the log", fault) for fault in service.faults()]
        if service.log.not_logged:
            found.append(("the log", f"{service.log.not_logged:,} rows could not be written since this process began"))
        return found


def percent(part: float, whole: float = 1.0) -> str:
    """A share; a dash where there is nothing to share.

    >>> percent(1, 3), percent(0, 0)
    ('33.3 %', '–')
    """
    return f"{100 * part / whole:.1f} %" if whole else "–"


def time_text(seconds: float | None) -> str:
    """A time to decide, two digits.

    >>> time_text(0.01234), time_text(1.56), time_text(None)
    ('12 ms', '1.6 s', '–')
    """
    if seconds is None:
        return "–"
    return f"{_digits(seconds, 2)} s" if seconds >= 1 else f"{_digits(1000 * seconds, 2)} ms"


def when(moment: datetime | None) -> str:
    """A minute in UTC.

    >>> when(datetime(2026, 11, 30, 9, 5, tzinfo=UTC))
    '2026-11-30 09:05 UTC'
    """
    return "–" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def usd(amount: float) -> str:
    """Dollars: three digits at least, and two behind the point.

    >>> usd(1234.5), usd(0.0001234), usd(-3)
    ('1,234.50', '0.000123', '-3.00')
    """
    return f"{amount:,.2f}" if abs(amount) >= 1 or not amount else _digits(amount, 3)


def _digits(value: float, n: int) -> str:
    """So many digits that count, and no power of ten."""
    behind = n - 1 - floor(log10(abs(value))) if value else 0
    return f"{value:,.{max(behind, 0)}f}"


def _bins(found: LiveCalibration) -> list[dict[str, float]]:
    columns = {"n": found.bins.n, "said": found.bins.mean_p, "right": found.bins.accuracy}
    columns |= {"low": found.bins.low, "high": found.bins.high}
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
