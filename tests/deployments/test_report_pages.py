"""Reports beside the UI: what a report consists of and nothing else, for whoever may use the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, temporary_settings

from routecal.deployments.patched_server import add_reports

RUN = "demo-night-20261129-140000-ab12"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A server whose UI takes every address, as Prefect's does; the home is that of every test."""
    folder = tmp_path / "artifacts" / "reports" / RUN
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<h1>Saves 12%</h1>")
    (folder / "notes.txt").write_text("nobody's business")
    (tmp_path / "artifacts" / "report.html").write_text("outside of the reports")
    app = FastAPI()

    @app.get("/{path:path}")
    def ui(path: str) -> str:
        return "UI"

    with TestClient(add_reports(app)) as running:
        yield running


def test_a_report_opens_and_can_run_nothing(client: TestClient) -> None:
    answer = client.get(f"/reports/{RUN}/report.html")
    assert (answer.status_code, answer.text) == (200, "<h1>Saves 12%</h1>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert "sandbox" in policy
    assert client.head(f"/reports/{RUN}/report.html").status_code == 200
    assert client.get("/runs").json() == "UI"


@pytest.mark.parametrize(
    "path", [f"{RUN}/notes.txt", f"{RUN}/metrics.json", "other/report.html", "../report.html", "%2e%2e/report.html"]
)
def test_nothing_else_of_the_home_is_served(path: str, client: TestClient) -> None:
    answer = client.get(f"/reports/{path}")
    assert "business" not in answer.text
    assert "outside" not in answer.text
    assert answer.status_code == 404 or answer.json() == "UI"


def test_the_login_of_the_api_is_that_of_the_reports(client: TestClient) -> None:
    path = f"/reports/{RUN}/report.html"
    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: "team:secret"}):
        refused = [client.get(path), client.get(path, auth=("team", "wrong")), client.get(f"/reports/{RUN}/notes.txt")]
        assert [answer.status_code for answer in refused] == [401, 401, 401]
        # A browser asks for the login then.
        assert refused[0].headers["www-authenticate"].startswith("Basic")
        assert client.get(path, auth=("team", "secret")).status_code == 200
