"""Runs whose whole machine goes down, or that nobody is left to report; and `make serve` that is ended."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gemini_server.server import GeminiServer
from tests.served.labelling_run import Labelling, slow_gemini
from tests.served.machine import SILENT, Machine, watched
from tests.tasks.oracle.labelling import KEY


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with watched(tmp_path_factory.mktemp("machine"), GEMINI_API_KEY=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiServer]:
    with slow_gemini() as server:
        yield server


def test_a_run_that_nobody_is_left_to_report_is_marked_crashed(
    here: Machine, gemini: GeminiServer, tmp_path: Path
) -> None:
    labelling = Labelling(here, gemini, tmp_path, 4000)
    here.kill(here.workers.pop().pid, *here.flow_processes(labelling.run))
    labelling.interrupted()
    here.workers.append(here.worker())
    assert here.served.state(labelling.run)["type"] == "RUNNING"
    state = here.served.until(labelling.run, "CRASHED", "COMPLETED")
    assert (state["type"], state["message"]) == ("CRASHED", SILENT)
    assert here.retry(labelling.run)["type"] == "COMPLETED"
    labelling.check()


def test_a_machine_that_is_restarted(here: Machine, gemini: GeminiServer, tmp_path: Path) -> None:
    labelling = Labelling(here, gemini, tmp_path, 5000)
    here.kill()
    assert here.left() == []
    labelling.interrupted()
    serving_again = here.serve()
    # The new server knows of the beats that the old one heard, and misses the next.
    state = here.served.until(labelling.run, "CRASHED", "COMPLETED")
    assert (state["type"], state["message"]) == ("CRASHED", SILENT)
    assert here.retry(labelling.run)["type"] == "COMPLETED"
    labelling.check()
    assert serving_again.poll() is None


def test_ctrl_c_of_make_serve_lets_runs_store_what_is_paid_for(
    here: Machine, gemini: GeminiServer, tmp_path: Path
) -> None:
    here.kill()
    serving = here.serve()
    labelling = Labelling(here, gemini, tmp_path, 6000)
    serving.send_signal(signal.SIGINT)
    assert serving.wait(90) == 0
    assert here.left() == []
    labelling.interrupted()
    assert labelling.lost == 0
    here.serve()
    # Its process has said so; nobody has to wait until its beat is missed.
    assert here.served.state(labelling.run)["type"] == "CRASHED"
    assert here.retry(labelling.run)["type"] == "COMPLETED"
    labelling.check()
