"""One real Prefect server for the session, and results that no other test can find."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from tests.flows.plain import make_plain
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect's API on a temporary database: about 10 s to start."""
    quiet = {
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
        # a flow waits up to a second for the thread that beats
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(quiet), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def _own_results(prefect_server: None, tmp_path: Path) -> Iterator[None]:
    """Cached results of this test's own: the harness isolates the database, not them; and the command line's
    variables are taken back."""
    with patch.dict(os.environ), temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        yield


@pytest.fixture
def states(_own_results: None) -> Iterator[list[tuple[str, str]]]:
    """(task, final state) of every task run, in the order they end, as Prefect's own log says."""
    found: list[tuple[str, str]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith("Finished in state "):
                state = message.removeprefix("Finished in state ").split("(")[0]
                found.append((record.__dict__["task_name"], state))

    logger, listener = logging.getLogger("prefect.task_runs"), Listener()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    yield found
    logger.removeHandler(listener)
    logger.setLevel(level)


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """One baseline and no figures: half of what a small flow takes, and tested where the report is."""
    make_plain(monkeypatch)


@pytest.fixture(scope="session")
def asked() -> list[str]:
    """300 questions."""
    return texts(300)


@pytest.fixture(scope="session")
def policies(asked: list[str], router_checkpoint: Path) -> list[str]:
    """Their true policies, which the tiny router finds in about half of them, depending on the text."""
    return policies_for(asked, router_checkpoint)


@pytest.fixture
def queries_file(asked: list[str], tmp_path: Path) -> str:
    """The questions as JSONL."""
    return write_jsonl(tmp_path / "q.jsonl", [{"query": text, "id": f"q{i}"} for i, text in enumerate(asked)])


@pytest.fixture
def outcomes_file(asked: list[str], policies: list[str], tmp_path: Path) -> str:
    """Their recorded outcomes."""
    return write_jsonl(tmp_path / "outcomes.jsonl", outcome_rows(asked, policies))
