"""One real Prefect server for the session, and results that no other test can find."""

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, get_current_settings, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from routecal.deployments.environment import environment
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.params import CalibrateParams
from tests.flows.api_labels import KEY, N, file_of, known
from tests.flows.inbox import drop
from tests.flows.plain import make_plain
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl
from tests.test_layering import ROOT

# (task, name of the state it ended in), in order.
States = list[tuple[str, str]]


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect's API on a temporary database: about 10 s to start."""
    # A flow waits up to a second for its thread that beats. The setting for none gets lost where settings are nested.
    silent = patch("prefect.flow_engine.BaseFlowRunEngine.heartbeat_seconds", None)
    ours = patch("prefect.server.api.server.SubprocessASGIServer._run_uvicorn_command", _started)
    with silent, ours, prefect_test_harness(server_startup_timeout=120):
        yield


def _started(server: SubprocessASGIServer) -> subprocess.Popen[bytes]:
    """The server of `make serve`: Prefect's own refuses now and then, as its database is locked, and 2 s are lost."""
    found = get_current_settings().to_environment_variables(exclude_unset=True)
    database = found["PREFECT_SERVER_DATABASE_CONNECTION_URL"].partition("///")[2]
    own = {"PREFECT_SERVER_API_PORT": str(server.port), "PREFECT_HOME": os.path.dirname(database)}
    env = environment(os.environ | found | own)
    command = [sys.executable, "-m", "routecal.deployments.patched_server", "--no-ui"]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)


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

    def listen(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith("Finished in state "):
            state = message.removeprefix("Finished in state ").split("(")[0]
            found.append((record.__dict__["task_name"], state))
        return True

    logger = logging.getLogger("prefect.task_runs")
    level = logger.level
    logger.setLevel(logging.INFO)
    # Before the filter that puts it in other words.
    logger.filters.insert(0, listen)
    yield found
    logger.removeFilter(listen)
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


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    """Models behind an API that know some of the answers to `file`."""
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with serving(respond=known(N)) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Queries."""
    return file_of(tmp_path / "q.jsonl", N)


@pytest.fixture
def params(queries_file: str, outcomes_file: str, router_checkpoint: Path) -> CalibrateParams:
    """A small `calibrate` in three shards."""
    return CalibrateParams(
        queries=queries_file,
        outcomes=outcomes_file,
        router_path=str(router_checkpoint),
        shard_size=100,
        epochs=2,
        hidden_units=8,
    )


@pytest.fixture(scope="session")
def night_world(router_checkpoint: Path) -> tuple[list[str], list[str]]:
    """1,200 queries in no order, so that none of their days looks unlike another, and their true policies."""
    asked, order = texts(1200), np.random.default_rng(0).permutation(1200)
    policies = policies_for(asked, router_checkpoint)
    return [asked[i] for i in order], [policies[i] for i in order]


@pytest.fixture
def first_night(night_world: tuple[list[str], list[str]], router_checkpoint: Path, tmp_path: Path) -> RecalibrateParams:
    """A night's, with 400 queries in the inbox."""
    (tmp_path / "inbox").mkdir()
    found = RecalibrateParams(
        inbox=str(tmp_path / "inbox"),
        outcomes=write_jsonl(tmp_path / "outcomes.jsonl", outcome_rows(*night_world)),
        router_path=str(router_checkpoint),
        night_queries=400,
        epochs=8,
        hidden_units=8,
        target_ece=0.3,
        medium_price=1,
        large_price=20,
    )
    drop(found, night_world[0][:400], "monday.jsonl")
    return found


def of(states: States, state: str) -> Counter[str]:
    """How many runs of each task ended so."""
    return Counter(task for task, found in states if found == state)
