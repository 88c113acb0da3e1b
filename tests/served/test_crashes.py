"""Runs whose process, worker or server is killed with a real SIGKILL, or that are cancelled; what people hear of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.gemini_server.server import GeminiServer
from tests.served.labelling_run import Labelling, slow_gemini
from tests.served.machine import Machine, watched
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl
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


def test_people_are_told_of_a_run_that_fails(here: Machine) -> None:
    path = '/no/such/"file" of {{ yours }}.jsonl'
    deployment = here.served.offer("label", queries=path, oracle="replay")
    run = here.served.start(deployment)
    state = here.served.until(run, "FAILED", "COMPLETED", "CRASHED")
    assert state["type"] == "FAILED"
    here.wait(lambda: any(path in said for said in here.heard))
    (said,) = [said for said in here.heard if path in said]
    name = here.served.ask("GET", f"/flow_runs/{run}")["name"]
    assert said == f"{name}: Failed. {state['message']}"


def test_people_are_told_of_a_night_that_promotes_nothing(
    here: Machine, router_checkpoint: Path, tmp_path: Path
) -> None:
    asked = texts(400)
    policies = np.random.default_rng(0).permutation(policies_for(asked, router_checkpoint)).tolist()
    (tmp_path / "inbox").mkdir()
    write_jsonl(tmp_path / "inbox" / "q.jsonl", [{"query": text} for text in asked])
    deployment = here.served.offer(
        "recalibrate-nightly",
        inbox=str(tmp_path / "inbox"),
        outcomes=write_jsonl(tmp_path / "o.jsonl", outcome_rows(asked, policies)),
        router_path=str(router_checkpoint),
        night_queries=400,
        epochs=2,
        hidden_units=8,
        brier_margin=1e-6,
        medium_price=1,
        large_price=20,
    )
    run = here.served.start(deployment)
    state = here.served.until(run, "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "COMPLETED", state
    here.wait(lambda: any(said.startswith("The new head was refused: ") for said in here.heard))
    assert len([said for said in here.heard if said.startswith("The new head was refused: ")]) == 1
