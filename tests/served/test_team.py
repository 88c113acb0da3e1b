"""A server that others reach: basic auth on it, TLS before it."""

import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.served.conftest import ROOT, Served, browsing, free_port, serving
from tests.served.front import tls_front

SECRET = "correct-horse/battery:staple"
AUTH = ("team", SECRET)
SMALL = {"epochs": 2, "hidden_units": 8, "medium_price": 1, "large_price": 20}


class Team(NamedTuple):
    """A server behind a front, and the environment of another machine, which shares nothing with it but the address."""

    served: Served
    address: str
    folder: Path
    env: dict[str, str]

    def there(self, *module: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a module on that machine."""
        return subprocess.run(
            [sys.executable, "-m", *module],
            cwd=ROOT, env=self.env | variables, capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    for name in ("server", "front", "client"):
        (folder / name).mkdir()
    port = free_port()
    variables = {
        "PREFECT_SERVER_API_AUTH_STRING": ":".join(AUTH),
        "PREFECT_UI_API_URL": f"https://127.0.0.1:{port}/api",
    }
    with (
        serving(folder / "server", **variables) as served,
        tls_front(folder / "front", served.ui, port) as address,
    ):
        own = {
            "PREFECT_HOME": f"{folder}/client/.prefect",
            "PREFECT_API_URL": f"{address}/api",
            "PREFECT_API_AUTH_STRING": ":".join(AUTH),
            "PREFECT_API_SSL_CERT_FILE": f"{folder}/front/certificate.pem",
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        }
        foreign = ("PREFECT_", "ROUTECAL_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own
        yield Team(served, address, folder, env | {"ROUTECAL_HOME": f"{folder}/client/artifacts"})


@pytest.mark.parametrize("auth", [None, ("team", "guessed"), ("", SECRET)])
def test_nobody_gets_in_without_the_string(auth: tuple[str, str] | None, team: Team) -> None:
    for method, path in (
        ("POST", "/flow_runs/filter"),
        ("POST", "/logs/filter"),
        ("GET", "/admin/settings"),
        ("GET", "/work_pools/local"),
        ("POST", "/block_documents/filter"),
    ):
        asked: dict[str, Any] = {"json": {} if method == "POST" else None, "timeout": 30}
        assert httpx.request(method, f"{team.served.ui}/api{path}", auth=auth, **asked).status_code == 401, path
        assert httpx.request(method, f"{team.served.ui}/api{path}", auth=AUTH, **asked).status_code == 200, path


def test_another_machine_deploys_runs_and_works(team: Team, world: dict[str, str]) -> None:
    for absent, said in (
        ("PREFECT_API_AUTH_STRING", "401"),
        ("PREFECT_API_SSL_CERT_FILE", "CERTIFICATE_VERIFY_FAILED"),
    ):
        refused = team.there("routecal.deployments.setup", **{absent: ""})
        assert refused.returncode != 0
        assert said in refused.stderr
    done = team.there("routecal.deployments.setup")
    assert done.returncode == 0, done.stderr
    created = team.there("prefect", "work-pool", "create", "far", "--type", "process")
    assert created.returncode == 0, created.stderr
    deployment = team.served.offer("calibrate", **world, **SMALL)
    team.served.ask("PATCH", f"/deployments/{deployment}", work_pool_name="far")
    clicked = team.there("prefect", "deployment", "run", "calibrate/calibrate")
    assert clicked.returncode == 0, clicked.stderr
    run = team.served.newest(deployment)

    with (team.folder / "client" / "worker.log").open("w") as log:
        arguments = ["worker", "start", "--pool", "far", "--type", "process", "--name", "ours"]
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=ROOT, env=team.env, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        state = team.served.until(run, "COMPLETED", "FAILED", "CRASHED")
        assert state["type"] == "COMPLETED", state["message"]
        assert ("extract", "Completed") in team.served.tasks(run)
        logs = team.served.ask("POST", "/logs/filter", logs={"flow_run_id": {"any_": [run]}})
        assert [row["message"] for row in logs if row["message"].startswith("Completed: ")], "the result is in the log"
        assert list((team.folder / "client/artifacts").rglob("report.html"))
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        try:
            worker.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def test_another_machine_switches_the_night_on(team: Team) -> None:
    night = "recalibrate/recalibrate-nightly"
    listed = team.there("prefect", "deployment", "schedule", "ls", night, COLUMNS="200")
    (found,) = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", listed.stdout)
    for verb, is_active in (("resume", True), ("pause", False)):
        assert team.there("prefect", "deployment", "schedule", verb, night, found).returncode == 0
        deployment = team.served.deployment("recalibrate-nightly")
        (schedule,) = team.served.ask("GET", f"/deployments/{deployment}")["schedules"]
        assert (schedule["id"], schedule["active"]) == (found, is_active)


def test_the_ui_behind_the_front_asks_for_the_string(team: Team) -> None:
    with browsing(ignore_https_errors=True) as page:
        page.goto(team.address)
        page.locator('input[type="password"]').fill(":".join(AUTH))
        page.keyboard.press("Enter")
        page.goto(f"{team.address}/deployments")
        page.get_by_text("recalibrate-nightly").first.wait_for()


def test_the_string_is_written_nowhere(team: Team, world: dict[str, str]) -> None:
    """Not by this run, which ends well, nor by one that fails."""
    for params in ({**world, **SMALL}, {**world, **SMALL, "queries": "/no/such/file.jsonl"}):
        deployment = team.served.offer("calibrate", **params)
        team.served.ask("PATCH", f"/deployments/{deployment}", work_pool_name="local")
        team.served.until(team.served.start(deployment), "COMPLETED", "FAILED", "CRASHED")
    spelled = [":".join(AUTH), SECRET, SECRET.replace("/", "\\/"), SECRET.replace("/", "%2F").replace(":", "%3A")]
    wanted = [text.encode() for text in spelled] + [base64.b64encode(":".join(AUTH).encode())]
    files = [file for file in team.folder.rglob("*") if file.is_file()]
    assert {"prefect.db", "server.log", "worker.log", "access.log", "report.html"} <= {file.name for file in files}
    assert [str(file) for file in files if any(text in file.read_bytes() for text in wanted)] == []
