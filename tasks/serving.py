"""Serving: routes with the head that the registry names, and with the next one as soon as it is promoted."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.decision import Decision
from routecal.calib.errors import CalibError
from routecal.storage.artifact import Artifact
from routecal.storage.errors import StorageError
from routecal.storage.folder_artifact import local_folder
from routecal.storage.head_registry import alarm_against_champion, history, newest_entry
from routecal.storage.layout import Home
from routecal.tasks.errors import NothingServes

logger = logging.getLogger(__name__)


class Champion:
    """The calibrated router that is in force, kept up to date while it routes.

    Promotions and rollbacks take effect within `look_every_s`, without a restart, and so do alarms of a night, after
    which decisions come without a guarantee. A head that cannot be opened, or a
    registry that cannot be read, leaves the one before in service and is logged. Threads may share one.

    Args:
        home: whose registry; None takes ROUTECAL_HOME.
        look_every_s: seconds between looks at the registry: one listing and one small file. None: `route` never
            looks, so that no query waits for a head that opens; call `look` from a thread.
        **options: of `CalibratedRouter.from_pretrained`, such as device.

    Raises:
        NothingServes: no head was promoted yet.
        StorageError, CalibError: the first head cannot be read or opened.
    """

    def __init__(self, home: Home | None = None, *, look_every_s: float | None = 5.0, **options: Any) -> None:
        self._home, self._look_every_s, self._options = home or Home.from_env(), look_every_s, options
        self._looking = threading.Lock()
        entry = newest_entry(self._home)
        if entry is None or entry.champion is None:
            raise NothingServes(self._home.root, self._home.absence)
        self.router, self._serving, self._number = self._opened(entry.champion), entry.champion, entry.number
        self.router.alarm = alarm_against_champion(history(self._home))
        self._looked, self._complaint = time.monotonic(), ""

    def route(self, queries: Sequence[str]) -> list[Decision]:
        """As `CalibratedRouter.route`, by one head for all of these queries."""
        if self._look_every_s is not None and time.monotonic() - self._looked >= self._look_every_s:
            self.look()
        return self.router.route(queries)

    @property
    def number(self) -> int:
        """Of the registry's entry that is in force here."""
        return self._number

    def look(self) -> None:
        """Take up another head if there is one; whoever comes while somebody looks goes on with the one there is."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            entry = newest_entry(self._home)
            if entry is None or entry.champion is None or entry.number == self._number:
                return
            if entry.champion != self._serving:
                self.router, self._serving = self._opened(entry.champion), entry.champion
                logger.info("head %s serves from now on", self.router.serving.head_version)
            if alarm := alarm_against_champion(history(self._home)):
                logger.warning("the guarantee of the head that serves holds no more: %s", alarm)
            self.router.alarm, self._number = alarm, entry.number
        except (StorageError, CalibError, OSError) as error:
            # It is tried again at every look, and complained of once.
            if self._complaint != (complaint := str(error)):
                logger.error("the newest head cannot be served, the one before goes on: %s", complaint)
                self._complaint = complaint
        finally:
            self._looked = time.monotonic()
            self._looking.release()

    def _opened(self, artifact: Artifact) -> CalibratedRouter:
        return CalibratedRouter.from_pretrained(local_folder(artifact), **self._options)
