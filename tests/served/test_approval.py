"""Nights that wait for a person's approval while processes and machines come and go."""

import shutil
import time
from collections.abc import Iterator

import pytest

from deployments.automations import BEATS
from storage.layout import Home
from storage.registry import history
from tests.served.machine import BEAT_S, SILENT, Machine, watched


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with watched(tmp_path_factory.mktemp("machine")) as running:
        yield running


@pytest.fixture(scope="module")
def night(here: Machine, world: dict[str, str]) -> str:
    """A night's run; every test leaves it waiting for approval, but the last."""
    inbox = here.folder / "inbox"
    inbox.mkdir()
    shutil.copy(world["queries"], inbox)
    known = {name: world[name] for name in ("outcomes", "router_path")}
    options = {"inbox": str(inbox), "require_approval": True, "target_ece": 0.5, "epochs": 8, "hidden_units": 8}
    deployment = here.served.offer("recalibrate-nightly", **known, **options, medium_price=1, large_price=20)
    return str(here.served.start(deployment))


def check_waiting(here: Machine, night: str) -> None:
    """The run waits for approval, and nothing is decided."""
    state = here.served.until(night, "PAUSED", "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "PAUSED", state
    assert history(Home(root=str(here.folder / "artifacts"))) == []


def test_people_are_told_that_a_night_waits(here: Machine, night: str) -> None:
    check_waiting(here, night)
    here.wait(lambda: here.heard)
    name = here.served.ask("GET", f"/flow_runs/{night}")["name"]
    assert here.heard == [f"{name}: waits for approval, {here.served.ui}/runs/flow-run/{night}"]


def test_a_night_whose_process_is_killed_asks_again(here: Machine, night: str) -> None:
    check_waiting(here, night)
    here.kill(*here.flow_processes(night))
    assert here.served.until(night, "CRASHED", "COMPLETED")["type"] == "CRASHED"
    assert here.retry(night)["type"] == "PAUSED"
    check_waiting(here, night)


def test_a_night_waits_longer_than_servers_live(here: Machine, night: str) -> None:
    check_waiting(here, night)
    here.kill(here.servers.pop().pid)
    here.servers.append(here.server())
    # Longer than a run may be silent.
    time.sleep((BEATS + 1) * BEAT_S)
    check_waiting(here, night)
    assert here.flow_processes(night)


def test_a_machine_that_is_restarted_while_a_night_waits(here: Machine, night: str) -> None:
    check_waiting(here, night)
    here.kill()
    here.serve()
    state = here.served.until(night, "CRASHED", "COMPLETED")
    assert (state["type"], state["message"]) == ("CRASHED", SILENT)
    assert here.retry(night)["type"] == "PAUSED"
    check_waiting(here, night)
    answer = {"promote": True, "note": "looks good"}
    # Its form is there a moment after the pause.
    here.wait(lambda: here.served.ask("POST", f"/flow_runs/{night}/resume", run_input=answer)["status"] == "ACCEPT")
    assert here.served.until(night, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
    (entry,) = history(Home(root=str(here.folder / "artifacts")))
    assert entry.action == "promoted"
    assert entry.reasons[0] == "approved in the UI: looks good"
