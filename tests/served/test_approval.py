"""Nights that wait for a person's approval while processes and machines come and go."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from routecal.deployments.automations import BEATS
from routecal.storage.head_registry import RegistryEntry, history
from routecal.storage.layout import Home
from routecal.storage.manifest import manifests
from tests.patience import PATIENCE_S
from tests.served.conftest import ROOT, free_port
from tests.served.machine import BEAT_S, SILENT, Machine, watched


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with watched(tmp_path_factory.mktemp("machine")) as running:
        yield running


@pytest.fixture(scope="module")
def night(here: Machine, world: dict[str, str]) -> str:
    """A night's run; every test leaves it waiting for approval, but the last two."""
    inbox = here.folder / "inbox"
    inbox.mkdir()
    shutil.copy(world["queries"], inbox)
    known = {name: world[name] for name in ("outcomes", "router_path")}
    options = {"inbox": str(inbox), "require_approval": True, "target_ece": 0.5, "epochs": 8, "hidden_units": 8}
    deployment = here.served.offer("recalibrate-nightly", **known, **options, medium_price=1, large_price=20)
    return str(here.served.start(deployment))


def entries(here: Machine) -> list[RegistryEntry]:
    return history(Home(root=str(here.folder / "artifacts")))


def terminal(here: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of routecal on this machine."""
    command = [sys.executable, "-m", "routecal", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=here.env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def check_waiting(here: Machine, night: str) -> None:
    """The run waits for approval and says so, its candidate is written down as waiting, and nothing is decided."""
    state = here.served.until(night, "PAUSED", "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "PAUSED", state
    assert state["message"].startswith("entry 1 waits for approval until ")
    (entry,) = entries(here)
    assert (entry.action, entry.champion) == ("waiting", None)


def test_people_are_told_that_a_night_waits(here: Machine, night: str) -> None:
    check_waiting(here, night)
    here.wait(lambda: here.heard)
    name = here.served.ask("GET", f"/flow_runs/{night}")["name"]
    assert here.heard == [f"{name}: waits for approval, {here.served.ui}/runs/flow-run/{night}"]
    said = here.served.ask("GET", f"/artifacts/{here.served.artifact('recalibrate-approval')}")
    assert said["flow_run_id"] == night
    assert "`routecal promote --entry 1`" in said["data"]

    def is_logged() -> bool:  # some seconds later
        lines = here.served.ask("POST", "/logs/filter", logs={"flow_run_id": {"any_": [night]}})
        return any(line["message"].startswith("entry 1 waits for approval until ") for line in lines)

    here.wait(is_logged)
    listed = terminal(here, "heads")
    assert " waiting " in listed.stdout, listed.stderr


def test_a_night_that_waits_has_nothing_that_prefect_could_take_from_it(here: Machine, night: str) -> None:
    """A deployment's slot is freed by the pause, and the run that renews its lease at 225 s is killed for it."""
    check_waiting(here, night)
    assert here.served.state(night)["state_details"]["deployment_concurrency_lease_id"] is None
    deployment = here.served.ask("GET", f"/deployments/{here.served.deployment('recalibrate-nightly')}")
    assert deployment["global_concurrency_limit"] is None


def test_other_nights_are_dropped_while_one_waits(here: Machine, night: str, world: dict[str, str]) -> None:
    check_waiting(here, night)
    name = here.served.ask("GET", f"/flow_runs/{night}")["name"]
    sentence = f"the night {name}, begun "
    other = here.served.start(here.served.deployment("recalibrate-nightly"))
    state = here.served.until(other, "CANCELLED", "COMPLETED", "FAILED", "CRASHED", "PAUSED")
    assert state["type"] == "CANCELLED", state
    assert state["message"].startswith(sentence)
    assert "waits for the approval of entry 1" in state["message"]
    options = {"inbox": f"{here.folder}/inbox", "outcomes": world["outcomes"], "router-path": world["router_path"]}
    by_hand = terminal(here, "recalibrate", *(f"--{option}={value}" for option, value in options.items()))
    assert by_hand.returncode == 2, by_hand.stderr
    # Around it is Prefect's log, which is verbose on this machine.
    assert any(line.startswith(f"routecal: {sentence}") for line in by_hand.stderr.splitlines())
    check_waiting(here, night)


def test_a_night_whose_process_is_killed_asks_again_and_does_nothing_else_again(here: Machine, night: str) -> None:
    check_waiting(here, night)
    before = here.served.tasks(night)
    here.kill(*here.flow_processes(night))
    assert here.served.until(night, "CRASHED", "COMPLETED")["type"] == "CRASHED"
    assert here.retry(night)["type"] == "PAUSED"
    check_waiting(here, night)
    assert here.served.tasks(night) == before


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


def test_promote_in_a_terminal_answers_and_an_answer_after_it_is_refused(here: Machine, night: str) -> None:
    check_waiting(here, night)
    promoted = terminal(here, "promote")
    assert promoted.returncode == 0, promoted.stderr
    assert promoted.stdout.startswith("entry 2: promoted")
    assert here.served.until(night, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
    late = here.served.ask("POST", f"/flow_runs/{night}/resume", run_input={"promote": False})
    assert late["status"] == "ABORT"
    assert late["details"]["reason"] == "Cannot resume a flow run that is not paused."
    twice = terminal(here, "promote")
    assert (twice.returncode, "routecal: no candidate waits" in twice.stderr) == (2, True)
    first, second = entries(here)
    assert (second.action, second.champion) == ("promoted", first.candidate)
    (told,) = manifests(Home(root=str(here.folder / "artifacts")), "recalibrate")
    assert told.facts["action"] == "promoted"
    assert told.facts["reasons"][0] == "promoted by hand while the night waited (entry 2)"


@pytest.mark.parametrize("is_same_port", [True, False])
def test_a_second_make_serve_in_the_same_folder_is_refused(here: Machine, night: str, is_same_port: bool) -> None:
    env = here.env if is_same_port else here.env | {"PREFECT_SERVER_API_PORT": str(free_port())}
    env = {name: value for name, value in env.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "routecal.deployments.serve"]
    second = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert second.returncode == 2
    assert second.stderr.startswith(
        f"routecal: `routecal serve` runs in {here.folder}/.prefect already ({here.served.ui}, "
    )
    assert len(second.stderr.splitlines()) == 1
