"""Watches the head that serves, and tells the registry and Prefect where something speaks against it."""

import json
import logging
import os
import threading
import time
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from routecal.calib.feedback.head_watch import Graded, HeadWatch
from routecal.calib.policy import OracleMatrix, PolicyMap
from routecal.deployments.events import SERVING_ALARM
from routecal.deployments.router_service.decider import Decider, Served
from routecal.deployments.router_service.service_settings import ServiceSettings
from routecal.storage.errors import RegistryChanged, StorageError
from routecal.storage.head_registry import enter_alarm, newest_entry
from routecal.storage.layout import Home
from routecal.storage.served.graded import graded

logger = logging.getLogger(__name__)

LOOKS_EVERY_S = 5.0
# Share of the time in which a log may be read: one of millions of decisions takes seconds.
AT_MOST_BUSY = 0.05
# Decisions from which on their own share of kept ones is taken in place of that of the promise.
ENOUGH = 1000


class Watcher:
    """One watch of the head in force, in a thread of its own; a head that takes over is watched from the start.

    Args:
        settings: whose log is read.
        decider: whose head is watched.
    """

    def __init__(self, settings: ServiceSettings, decider: Decider) -> None:
        self._settings, self._decider = settings, decider
        self._head, self._seen, self._told = "", set[tuple[str, str]](), set[str]()
        self.watch = HeadWatch.of(None)
        self.findings: tuple[str, ...] = ()
        self._n, self._n_kept = 0, 0
        self._lock, self._looking = threading.Lock(), threading.Lock()
        self._heard, self._done = threading.Event(), threading.Event()
        # What earlier processes were told counts, too.
        self._heard.set()
        self._thread = threading.Thread(target=self._go_on, name="head watch", daemon=True)
        self._thread.start()

    def decided(self, served: Sequence[Served]) -> None:
        """Take decisions into account as they are made."""
        with self._lock:
            for one in served:
                if one.decision is None:
                    continue
                self._n, self._n_kept = self._n + 1, self._n_kept + (one.decision.served_by == "medium")
                if one.decision.unlikeness is not None:
                    self.watch = self.watch.after_query(one.decision.is_unlike)

    def heard(self) -> None:
        """Somebody graded an answer."""
        self._heard.set()

    def close(self) -> None:
        """End the thread."""
        self._done.set()
        self._thread.join()

    def look(self) -> None:
        """Take into account what was graded since the last look; tell where something speaks against the head."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        router = self._decider.router
        if router.serving.head_version != self._head:
            guarantee = router.serving.guarantee
            with self._lock:
                self._head, self._seen, self._told = router.serving.head_version, set(), set()
                self.watch, self.findings = HeadWatch.of(None if guarantee is None else guarantee.promise), ()
                self._n, self._n_kept = 0, 0
            self._heard.set()
        if self._heard.is_set():
            self._heard.clear()
            for row in graded(self._settings.log, head=self._head).to_pylist():
                if (seen := self._unseen(_graded(row, router.serving.policy_map), row["decision_id"])) is not None:
                    # One by one: a decision that is being served waits for this lock.
                    with self._lock:
                        self.watch = self.watch.after(seen, kept_share=self._kept_share())
        self.findings = tuple(self.watch.findings())
        # What stands was told by another process of this log, or by this one before it was started again.
        standing = self._decider.router.alarm
        keys = {HeadWatch.key(finding) for finding in self.findings}
        if any(key not in standing and key not in self._told for key in keys) and self._tell(self.findings):
            self._told |= keys

    def _unseen(self, row: Graded, decision_id: str) -> Graded | None:
        """What of a row was not taken into account yet: each answer counts once, whenever the other one is graded."""
        has_medium = row.medium is not None
        parts = [(decision_id, "medium", has_medium), (decision_id, "both", has_medium and row.large is not None)]
        is_new_medium, is_new_both = (there and (name, part) not in self._seen for name, part, there in parts)
        self._seen |= {(name, part) for name, part, there in parts if there}
        if not (is_new_medium or is_new_both):
            return None
        return replace(row, said=row.said if is_new_medium else None, is_ruled=row.is_ruled and is_new_both)

    def _kept_share(self) -> float:
        guarantee = self._decider.router.serving.guarantee
        if self._n >= ENOUGH or guarantee is None:
            return self._n_kept / self._n if self._n else 1.0
        return guarantee.kept

    def _tell(self, findings: Sequence[str]) -> bool:
        """Void the guarantee, here and for everybody, and start what mends it; whether that is done.

        All findings, for the newest alarm of the registry is the one that counts.
        """
        for finding in findings:
            logger.warning("alarm against head %s: %s", self._head, finding)
        if self._decider.champion is None:
            self._decider.router.alarm = "; ".join(findings)
        elif not self._entered_in_registry(findings):
            return False
        _emit(self._head, "; ".join(findings))
        return True

    def _entered_in_registry(self, findings: Sequence[str]) -> bool:
        """Whether it stands there now; another look tries again where it does not."""
        champion = self._decider.champion
        assert champion is not None
        home = Home.from_env()
        try:
            newest = newest_entry(home)
            if newest is None or newest.number != champion.number:
                # The head that is complained of may not serve any more: the next look finds that out.
                return False
            enter_alarm(home, findings, after=newest)
        except RegistryChanged:
            return False
        except (StorageError, OSError) as error:
            logger.error("the alarm is not in the registry, and is tried again: %s", error)
            return False
        champion.look()
        return True

    def _go_on(self) -> None:
        took = 0.0
        while not self._done.wait(max(LOOKS_EVERY_S, took / AT_MOST_BUSY)):
            began = time.perf_counter()
            try:
                self.look()
            except Exception:
                logger.exception("what was graded could not be read; it is tried again")
            took = time.perf_counter() - began


def _graded(row: dict[str, Any], policies: PolicyMap) -> Graded:
    """A row of the log. The true policy is that of the default matrix."""
    medium, large = row["medium_was_right"], row["large_was_right"]
    needs_large = None
    if row["medium_grade"] is not None and row["large_grade"] is not None:
        needs_large = policies.serves(OracleMatrix().true_policy(row["medium_grade"], row["large_grade"])) == "large"
    is_ruled = row["status"] in ("ok", "shadow") and row["decides_by"] != "medium_enough" and not row["by_canary"]
    return Graded(
        is_kept=not row["escalate"],
        said=row["medium_right"],
        medium=medium,
        large=large,
        needs_large=needs_large,
        is_ruled=is_ruled,
    )


def _emit(head: str, said: str) -> None:
    """Tell the Prefect server at PREFECT_API_URL, whose automation starts a recalibration; without one nothing happens.

    By its HTTP API: the package takes seconds to import, in which nothing would be served.
    """
    if not (api := os.environ.get("PREFECT_API_URL")):
        return
    event = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": SERVING_ALARM,
        "resource": {"prefect.resource.id": f"routecal.head.{head}", "prefect.resource.name": head},
        "related": [],
        "payload": {"headline": f"alarm against the head that serves: {said}"},
    }
    headers = {"Content-Type": "application/json"}
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(auth.encode()).decode()}"
    elif key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(f"{api}/events", json.dumps([event]).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10):
            pass
    except (OSError, ValueError) as error:
        logger.error("the Prefect server at PREFECT_API_URL does not hear of the alarm: %s", error)
