"""Runs whose process, worker, server or machine dies, with a real SIGKILL, and what people are told of it."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from routecal.storage.artifact import read_table
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest
from tests.flows.lakes import lakes_file
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.served.machine import SILENT, Machine, watched
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl
from tests.tasks.oracle.labelling import JUDGE, KEY, LARGE, MEDIUM, by_number

N, SHARD = 160, 10
# Shards that are finished when something is killed. Four are worked on at once, so all but four of them are finished
# for Prefect too.
ENOUGH = 8


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with watched(tmp_path_factory.mktemp("machine"), GEMINI_API_KEY=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiServer]:
    with serving(dict.fromkeys((MEDIUM, LARGE, JUDGE), Script(latency_s=0.4)), respond=by_number()) as server:
        yield server


class Labelling:
    """A run of the deployment `label`, and what became of it.

    Attributes:
        run: its id.
        is_interrupted: it has to go on, and did not just complete.
        lost: calls that were in flight when it was interrupted.
    """

    def __init__(self, here: Machine, gemini: GeminiServer, folder: Path, first: int) -> None:
        self._here, self._gemini, self._billed = here, gemini, gemini.stats()
        self._before = self._shards()
        params = {"medium_model": MEDIUM, "large_model": LARGE, "judge_model": JUDGE, "concurrency": 16}
        options = {"oracle": "gemini", "base_url": gemini.url, "shard_size": SHARD, "quota": f"quota-{first}"}
        queries = str(lakes_file(folder, N, first=first))
        deployment = here.served.offer("label", queries=queries, **params, **options)
        self.run = here.served.start(deployment)
        here.wait(lambda: self._shards() >= self._before + ENOUGH)
        self.is_interrupted, self.lost = False, 0

    def interrupted(self) -> None:
        """Note what there is, after the kill."""
        self.is_interrupted = True
        with closing(sqlite3.connect(self._here.folder / "artifacts" / "ledger.sqlite")) as ledger:
            self.lost = ledger.execute("SELECT COUNT(*) FROM calls WHERE state = 'started'").fetchall()[0][0]

    def go_on(self) -> None:
        """The run's own process is alive: it completes by itself, or it gives up and goes on when Retry is pressed."""
        state = self._here.served.until(self.run, "COMPLETED", "CRASHED", "FAILED")
        if state["type"] != "COMPLETED":
            self._here.wait(lambda: not self._here.flow_processes(self.run))
            self.interrupted()
            assert self._here.retry(self.run)["type"] == "COMPLETED"

    def check(self) -> None:
        """The run has completed; what was finished was found, and nothing was paid twice but what was in flight."""
        # The recorder of task runs lags behind.
        expected = ENOUGH - 4 if self.is_interrupted else 0
        self._here.wait(lambda: self._cached() >= expected)
        now = self._gemini.stats()
        assert now["billed_twice"] - self._billed["billed_twice"] <= self.lost
        manifest = latest_manifest(Home(root=str(self._here.folder / "artifacts")), "labels")
        assert manifest is not None
        assert manifest.artifacts["labels"].rows == N
        assert len(set(read_table(manifest.artifacts["labels"])["query_id"].to_pylist())) == N

    def _cached(self) -> int:
        runs = self._here.served.ask("POST", "/task_runs/filter", flow_runs={"id": {"any_": [self.run]}}, limit=200)
        return sum(run["name"].startswith("label ") and run["state_name"] == "Cached" for run in runs)

    def _shards(self) -> int:
        found = (self._here.folder / "artifacts" / "labels").glob("[!.]*.parquet")
        return sum(pq.read_metadata(path).num_rows == SHARD for path in found)


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
