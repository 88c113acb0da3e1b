"""Runs by batch jobs, and what the ledger says of them."""

from collections import Counter
from typing import Any

from tests.gemini_server.scripts import BatchScript, Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    recorded,
    served,
)

BATCH: dict[str, Any] = {"backend": "batch", "poll_s": 0.01}


def batch(**script: Any) -> Script:
    return Script(batch=BatchScript(**script))


def online(server: GeminiServer) -> dict[str, int]:
    """Requests by model that did not go by a batch job."""
    return {model: n for model, n in served(server).items() if model in (MEDIUM, LARGE, JUDGE)}


def states() -> Counter[str]:
    """How the batch jobs in the ledger ended; open ones are `intended` or `created`."""
    return Counter(job["state"] for job in recorded("batches"))


def keys(rows: list[dict[str, Any]], **wanted: Any) -> set[str]:
    return {row["key"] for row in rows if all(row[name] == value for name, value in wanted.items())}
