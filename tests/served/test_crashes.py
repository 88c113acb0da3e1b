"""Runs whose process, worker or server is killed, with a real SIGKILL, or that are cancelled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gemini_server.server import GeminiServer
from tests.served.labelling_run import Labelling, slow_gemini
from tests.served.machine import Machine, watched
from tests.tasks.oracle.labelling import KEY


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with watched(tmp_path_factory.mktemp("machine"), GEMINI_API_KEY=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiServer]:
    with slow_gemini() as server:
        yield server


def test_a_flow_process_that_is_killed(here: Machine, gemini: GeminiServer, tmp_path: Path) -> None:
    labelling = Labelling(here, gemini, tmp_path, 0)
    here.kill(*here.flow_processes(labelling.run))
    labelling.interrupted()
    assert here.served.until(labelling.run, "CRASHED", "COMPLETED")["type"] == "CRASHED"
    name = here.served.ask("GET", f"/flow_runs/{labelling.run}")["name"]
    here.wait(lambda: any(said.startswith(f"{name}: Crashed. ") for said in here.heard))
    assert here.retry(labelling.run)["type"] == "COMPLETED"
    labelling.check()


@pytest.mark.parametrize(("kind", "first"), [("worker", 1000), ("server", 2000)])
def test_a_worker_or_server_that_is_killed_and_started_again(
    kind: str, first: int, here: Machine, gemini: GeminiServer, tmp_path: Path
) -> None:
    labelling = Labelling(here, gemini, tmp_path, first)
    running = {"worker": here.workers, "server": here.servers}[kind]
    here.kill(running.pop().pid)
    running.append({"worker": here.worker, "server": here.server}[kind]())
    labelling.go_on()
    labelling.check()


def test_a_run_that_is_cancelled_in_the_ui(here: Machine, gemini: GeminiServer, tmp_path: Path) -> None:
    labelling = Labelling(here, gemini, tmp_path, 3000)
    here.served.ask(
        "POST", f"/flow_runs/{labelling.run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"}, force=True
    )
    # Its process says Crashed, some seconds before the worker says Cancelled (Prefect).
    here.served.until(labelling.run, "CANCELLED")
    here.wait(lambda: not here.flow_processes(labelling.run))
    labelling.interrupted()
    # It is asked to end, so it stores what is in flight.
    assert labelling.lost == 0
    assert here.retry(labelling.run)["type"] == "COMPLETED"
    labelling.check()
