"""Writes down what is served. Serving goes on where it cannot be written, and says how much was not."""

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.relay import Relayed
from routecal.deployments.router_service.service_settings import Upstream
from routecal.storage.errors import StorageError
from routecal.storage.query_identity import query_id
from routecal.storage.served.journal import Journal, remove_older
from routecal.storage.served.tables import TABLES

logger = logging.getLogger(__name__)

# Of a decision, as they are.
COPIED = (
    *("confidence", "medium_right", "large_right", "gain"),
    *("decides_by", "threshold", "truncated", "unlikeness"),
)
DAY_S = 86_400.0
COMPLAINS_EVERY_S = 60.0


class DecisionLog:
    """Four journals in a folder.

    Args:
        folder: made if need be.
        keeps_text: of queries; without it a digest alone.
        retention_days: of finished files.

    Raises:
        StorageError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, *, keeps_text: bool, retention_days: float) -> None:
        self._folder, self._keeps_text, self._days = folder, keeps_text, retention_days
        self._journals = {name: Journal(folder / name, schema) for name, schema in TABLES.items()}
        self._cleaned, self._complained = -DAY_S, -COMPLAINS_EVERY_S
        self.not_logged = 0
        self.reason = ""

    def decided(
        self, served: Sequence[Served], router: CalibratedRouter, *, surface: str, client: str | None, asked: str | None
    ) -> None:
        """Write decisions, before anybody hears of them."""
        rows = [self._row(one, router) | {"surface": surface, "client": client, "asked_model": asked} for one in served]
        self._write("decisions", rows)

    def answered(self, served: Served, relayed: Relayed, upstream: Upstream, seconds: float) -> dict[str, Any]:
        """Write how an answer went; the row.

        Args:
            served: what it was asked for.
            relayed: how it went.
            upstream: who was asked.
            seconds: that it took.
        """
        said = usage_in(relayed)
        tokens = said["tokens_input"], said["tokens_output"]
        row = {
            "decision_id": served.id,
            "at": datetime.now(UTC),
            "model": upstream.model,
            "served": served.action.served_by,
            "decision_status": served.status,
            "status": relayed.status,
            "outcome": relayed.outcome,
            "reason": relayed.reason or None,
            "seconds": seconds,
            "cost_usd": cost_usd(upstream, *tokens),
            **said,
        }
        self._write("answers", [row])
        return row

    def second(self, row: Mapping[str, Any]) -> None:
        """Write what the other model answered."""
        self._write("second_answers", [dict(row)])

    def heard(self, row: Mapping[str, Any]) -> None:
        """Write feedback.

        Raises:
            StorageError: it cannot be written; whoever sent it is told.
        """
        self._journals["feedback"].append([row])

    def close(self) -> None:
        """End the journals."""
        for journal in self._journals.values():
            journal.close()

    def _row(self, served: Served, router: CalibratedRouter) -> dict[str, Any]:
        by, taken = served.by, served.action
        row: dict[str, Any] = {
            "decision_id": served.id,
            "at": served.at,
            "query_id": query_id(served.query),
            "query": served.query if self._keeps_text else None,
            "served": taken.served_by,
            "propensity": taken.propensity,
            "status": served.status,
            "override": taken.override or None,
            "explored": taken.explored,
            "by_canary": taken.by_canary,
            "trial_escalates": None if served.trial is None else served.escalates(served.trial),
            "head": router.serving.head_version if by is None else by.head_version,
            "router": str(router.router.path),
            "decided_s": served.seconds,
        }
        if by is not None:
            row |= {name: getattr(by, name) for name in COPIED}
            row |= {"policy": by.policy.value, "escalate": served.escalates(by)}
            if served.asked_threshold is not None:
                row |= {"decides_by": "medium_enough", "threshold": served.asked_threshold}
        return row

    def _write(self, name: str, rows: list[dict[str, Any]]) -> None:
        try:
            self._journals[name].append(rows)
            self.reason = ""
        except (StorageError, OSError) as error:
            self.not_logged += len(rows)
            self.reason = str(error)
            if time.monotonic() - self._complained >= COMPLAINS_EVERY_S:
                self._complained = time.monotonic()
                logger.error("%d rows are not logged so far; serving goes on: %s", self.not_logged, error)
        if time.monotonic() - self._cleaned >= DAY_S:
            self._cleaned = time.monotonic()
            for journal in self._journals:
                remove_older(self._folder / journal, self._days)


def cost_usd(upstream: Upstream, tokens_input: int | None, tokens_output: int | None) -> float | None:
    """USD of an answer; None where a price or a count is unknown."""
    of_input, of_output = upstream.usd_per_million_input, upstream.usd_per_million_output
    if of_input is None or of_output is None or tokens_input is None or tokens_output is None:
        return None
    return (of_input * tokens_input + of_output * tokens_output) / 1e6


def usage_in(relayed: Relayed) -> dict[str, Any]:
    """Model and tokens as the answer itself has them, in one piece or as events; None where it has not."""
    if relayed.content_encoding:
        return usage_of([])
    text = relayed.kept.text
    is_whole = text.startswith(b"{")
    lines = [] if is_whole else text.split(b"\n")
    events = [line[5:] for line in lines if line.startswith(b"data:")]
    # A stream names its model in every event, and its usage in one of the last.
    telling = [*events[:1], *(event for event in events[1:] if b'"usage"' in event)]
    return usage_of(map(_object, [text] if is_whole else telling))


def usage_of(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The last model and tokens that the parts of an answer name."""
    found: dict[str, Any] = {"answered_by": None, "tokens_input": None, "tokens_output": None}
    for one in parts:
        if isinstance(model := one.get("model"), str):
            found["answered_by"] = model
        if isinstance(usage := one.get("usage"), dict):
            counts = usage.get("prompt_tokens"), usage.get("completion_tokens")
            if all(isinstance(n, int) and 0 <= n < 2**31 for n in counts):
                found["tokens_input"], found["tokens_output"] = counts
    return found


def _object(text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
