"""Graded answers that speak against the head that serves end its promise: in the service, the registry, at Prefect."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from routecal.calib.feedback.head_watch import HeadWatch
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.policy import OracleMatrix
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.deployments.events import SERVING_ALARM
from routecal.storage.folder_artifact import folder_at
from routecal.storage.head_registry import append_entry, enter_alarm, history, newest_entry
from routecal.storage.layout import Home
from tests.calib.conftest import ASKED, BLOCKS, READ
from tests.calib.packed import QUERIES, trained
from tests.deployments.router_service.conftest import Running, Start


@pytest.fixture(scope="module")
def packed(wide_router: FrozenRouter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that says of all queries that the medium model is right in nine of ten, and keeps all."""
    output, cells = wide_router.read(ASKED), Cells.of(OracleMatrix())
    blocks = {name: output.blocks[name].astype(np.float32) for name in BLOCKS}
    both_right, both_wrong = cells.index(["CORRECT", "INCORRECT"], ["CORRECT", "INCORRECT"], OracleMatrix())
    drawn = np.where(np.arange(40) % 10 == 0, both_wrong, both_right)
    folder = tmp_path_factory.mktemp("sure")
    rule = {"threshold": 0.9, "decides_by": "gain", "head_version": "abc", "router": str(wide_router.path)}
    outcome_head = fit_outcome(blocks, output.logits, drawn, np.arange(40) % 4, cells).head
    pack(trained(wide_router), Serving(**READ, **rule), folder, outcome_head)
    return folder


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """What a server at PREFECT_API_URL is sent."""
    heard: list[tuple[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    yield heard
    server.shutdown()
    server.server_close()


def grade(running: Running, n: int, **said: Any) -> None:
    """Decide queries, and grade each."""
    with httpx.Client(base_url=running.url, timeout=60) as client:
        for i in range(0, n, len(QUERIES)):
            routes = client.post("/v1/route", json={"queries": QUERIES}).json()["routes"]
            for route in routes[: n - i]:
                told = {"decision_id": route["decision_id"], **said}
                assert client.post("/v1/feedback", json=told).status_code == 200


def test_wrong_answers_end_the_promise_and_prefect_hears_of_it_once(
    start: Start, prefect: list[tuple[str, Any]]
) -> None:
    with start() as running:
        watcher = running.service.watcher
        grade(running, 150, about="medium", correct=False)
        watcher.look()
        (finding,) = watcher.findings
        assert (
            HeadWatch.key(finding) == "the medium model is wrong more often than the head says, by more than 2 points"
        )
        n = watcher.watch.of_medium.n
        # The other answer of the same decisions: no second word on the first.
        with httpx.Client(base_url=running.url, timeout=60) as client:
            for row in running.rows("decisions"):
                client.post("/v1/feedback", json={"decision_id": row["decision_id"], "about": "large", "correct": True})
        watcher.look()
        watcher.look()
        assert watcher.watch.of_medium.n == n == 150
        route = httpx.post(f"{running.url}/v1/route", json={"query": "Which lake?"}).json()["routes"][0]
        assert route["estimate"]["status"] == "conflict"
        assert HeadWatch.key(finding) in route["estimate"]["fallback_reason"]
        assert "routecal_alarms 1.0" in httpx.get(f"{running.url}/metrics").text
    (path, (event,)) = prefect[0]
    assert (path, len(prefect)) == ("/api/events", 1)
    assert event["event"] == SERVING_ALARM
    assert event["resource"]["prefect.resource.id"].startswith("routecal.head.")
    assert "wrong more often" in event["payload"]["headline"]


def test_a_second_finding_is_told_with_the_first_and_neither_again(
    start: Start, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect: list[tuple[str, Any]]
) -> None:
    home = Home(root=str(tmp_path / "home"))
    monkeypatch.setenv("ROUTECAL_HOME", home.root)
    append_entry(home, "promoted", champion=folder_at(str(packed), "calibrated"), after=0)
    with start(head="champion") as running:
        watcher = running.service.watcher
        grade(running, 150, about="medium", correct=False)
        watcher.look()
        for _ in range(200):
            watcher.watch = watcher.watch.after_query(True)
        watcher.look()
        # A night has words of its own against the head, and the newest alarm is the one that counts.
        newest = newest_entry(home)
        assert newest is not None
        enter_alarm(home, ["drift"], after=newest)
        assert running.service.decider.champion is not None
        running.service.decider.champion.look()
        for _ in range(3):
            watcher.look()
        assert len(watcher.findings) == 2
    alarms = [str(entry.lineage["alarm"]) for entry in history(home)[1:]]
    assert [("wrong more often" in one, "other ones" in one) for one in alarms] == [
        (True, False),
        (True, True),
        (False, False),
    ]
    assert len(prefect) == 2


def test_right_answers_raise_nothing(start: Start, prefect: list[tuple[str, Any]]) -> None:
    with start() as running:
        grade(running, 150, about="medium", correct=True)
        running.service.watcher.look()
        assert running.service.watcher.watch.of_medium.n == 150
        assert running.service.watcher.findings == ()
    assert prefect == []


def test_what_was_graded_before_a_restart_counts(start: Start) -> None:
    with start() as running:
        grade(running, 60, about="medium", correct=False)
        running.service.watcher.look()
        before = running.service.watcher.watch.of_medium
    with start() as running:
        running.service.watcher.look()
        assert running.service.watcher.watch.of_medium.n == before.n == 60
        assert running.service.watcher.watch.of_medium.evidence == pytest.approx(before.evidence)


def test_the_alarm_of_a_champion_is_an_entry_of_the_registry(
    start: Start, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(root=str(tmp_path / "home"))
    monkeypatch.setenv("ROUTECAL_HOME", home.root)
    served = folder_at(str(packed), "calibrated")
    append_entry(home, "promoted", champion=served, after=0)
    with start(head="champion") as running:
        grade(running, 150, about="medium", correct=False)
        running.service.watcher.look()
        running.service.watcher.look()
        assert [entry.action for entry in history(home)] == ["promoted", "alarm"]
        assert history(home)[-1].champion == served
        assert "wrong more often" in running.service.decider.router.alarm
    with start(head="champion") as running:
        running.service.watcher.look()
        assert running.service.watcher.findings
        assert len(history(home)) == 2
