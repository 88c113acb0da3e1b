"""A log as a service would have left it: decisions of some days, answers with prices, and graded ones; and its page."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from routecal.storage.served.journal import Journal
from routecal.storage.served.tables import ANSWERS, DECISIONS, FEEDBACK
from tests.deployments.router_service.conftest import Running, until

STATUSES = ("ok", "fallback", "unlike", "shadow", "asked")
KEY = "secret-kéy: with a colon"
KEYS = [
    {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()} for name, key in (("a", KEY), ("b", "plain"))
]


def page_of(running: Running, **more: Any) -> httpx.Response:
    """Once the log was read."""
    until(lambda: "being read" not in httpx.get(running.url, timeout=60, **more).text)
    return httpx.get(running.url, timeout=60, **more)


def write_log(folder: Path, n: int, **hostile: str) -> None:
    """So many decisions of the head "abc" until now, half of them within the hour, in several files.

    Args:
        folder: of the log.
        n: decisions.
        hostile: columns of text, of any kind of row, that hold this.
    """
    rng, now = np.random.default_rng(0), datetime.now(UTC)
    decisions, answers, feedback = [], [], []
    for i in range(n):
        status = str(rng.choice(STATUSES, p=[0.8, 0.05, 0.05, 0.05, 0.05]))
        served = "medium" if status in ("ok", "asked") and rng.random() < 0.7 else "large"
        said = float(rng.uniform(0.5, 1))
        age = timedelta(seconds=float(rng.uniform(60, 3000) if i % 2 else rng.uniform(7200, 1e6)))
        common = {"decision_id": f"{i:032x}", "at": now - age, "served": served}
        decisions.append(
            common
            | {"status": status, "head": "abc", "medium_right": said, "escalate": served == "large"}
            | {"decided_s": float(rng.lognormal(-4, 0.5)), "query": "what only its sender should read"}
        )
        usd = float(rng.lognormal(-9 if served == "medium" else -6, 0.7))
        outcome = {"status": 200, "outcome": "ok", "cost_usd": None if i % 20 == 0 else usd, "seconds": 1.0}
        answers.append(common | outcome | {"model": "m", "decision_status": status})
        if i % 3 == 0:
            word = {"feedback_id": f"{i:032x}", "about": "medium", "correct": bool(rng.random() < said)}
            feedback.append(common | word)
    for name, schema, rows in (
        ("decisions", DECISIONS, decisions),
        ("answers", ANSWERS, answers),
        ("feedback", FEEDBACK, feedback),
    ):
        for part in range(4):
            _write(folder / name, schema, rows[part::4], hostile)


def _write(folder: Path, schema: pa.Schema, rows: Sequence[Mapping[str, Any]], hostile: Mapping[str, str]) -> None:
    more = {name: text for name, text in hostile.items() if name in schema.names}
    journal = Journal(folder, schema)
    journal.append([{name: (dict(row) | more).get(name) for name in schema.names} for row in rows])
    journal.close()
