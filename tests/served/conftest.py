"""`make serve` as a person starts it, on a free port, with everything in a folder of its own; and a browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that lies here needs a server of its own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.served)


class Served(NamedTuple):
    """A running `make serve`."""

    process: subprocess.Popen[str]
    ui: str
    folder: Path
    env: dict[str, str]
    auth: tuple[str, str] | None = None

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What the API answers."""
        answer = httpx.request(method, f"{self.ui}/api{path}", json=body or None, auth=self.auth, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> str:
        """Its id."""
        found = self.ask("POST", "/deployments/filter", deployments={"name": {"any_": [name]}})
        return str(found[0]["id"])

    def offer(self, name: str, **params: Any) -> str:
        """Make these the parameters that the deployment's form shows; its id."""
        found = self.deployment(name)
        self.ask("PATCH", f"/deployments/{found}", parameters={"params": params})
        return found

    def start(self, deployment: str) -> str:
        """A run with the deployment's own parameters; its id."""
        return str(self.ask("POST", f"/deployments/{deployment}/create_flow_run", state={"type": "SCHEDULED"})["id"])

    def newest(self, deployment: str) -> str:
        """The deployment's newest run."""
        found = self.ask(
            "POST", "/flow_runs/filter", deployments={"id": {"any_": [deployment]}}, sort="EXPECTED_START_TIME_DESC"
        )
        return str(found[0]["id"])

    def state(self, run: str) -> dict[str, Any]:
        """The state of a run."""
        found: dict[str, Any] = self.ask("GET", f"/flow_runs/{run}")["state"]
        return found

    def until(self, run: str, *types: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The run's state once it is of one of these types."""
        end = time.monotonic() + seconds
        while (state := self.state(run))["type"] not in types:
            assert time.monotonic() < end, f"still {state['name']}: {state['message']}\n{self.log('worker')}"
            time.sleep(0.5)
        return state

    def tasks(self, run: str) -> list[tuple[str, str]]:
        """(task, state) of the run's task runs, when the recorder has caught up."""
        found: list[tuple[str, str]] = []
        for _ in range(60):
            runs = self.ask("POST", "/task_runs/filter", flow_runs={"id": {"any_": [run]}}, limit=200)
            found = sorted((r["name"].split()[0], r["state_name"]) for r in runs)
            if found and not {"Running", "Pending"} & {state for _, state in found}:
                break
            time.sleep(1)
        return found

    def errors(self, run: str) -> list[str]:
        """What the run logged as errors, once something has arrived: logs are sent in batches."""
        for _ in range(60):
            if found := self.ask(
                "POST", "/logs/filter", logs={"flow_run_id": {"any_": [run]}, "level": {"ge_": 40}}, limit=200
            ):
                return [record["message"] for record in found]
            time.sleep(1)
        return []

    def artifact(self, key: str) -> str:
        """The newest artifact whose key is like that (% stands for anything); its id."""
        found = self.ask("POST", "/artifacts/filter", artifacts={"key": {"like_": key}}, sort="CREATED_DESC")
        return str(found[0]["id"])

    def log(self, name: str) -> str:
        """The end of what the server or the worker said."""
        return (self.folder / ".prefect" / f"{name}.log").read_text(errors="replace")[-4000:]

    def left(self) -> list[int]:
        """Processes that have this folder in their environment."""
        marked = f"PREFECT_HOME={self.folder}/.prefect".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if marked in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Served]:
    """Server, worker and deployments; ended by Ctrl-C, which leaves no process.

    Args:
        folder: of everything they write.
        variables: of the environment, besides those that give them the folder and a free port.
    """
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROUTECAL_"))} | {
        "PREFECT_HOME": f"{folder}/.prefect",
        "ROUTECAL_HOME": f"{folder}/artifacts",
        "PREFECT_SERVER_API_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "routecal.deployments.serve"], cwd=ROOT, env=env, stdout=out, stderr=out, text=True
        )
    auth = tuple(env.get("PREFECT_SERVER_API_AUTH_STRING", "").split(":", 1))
    running = Served(process, f"http://127.0.0.1:{port}", folder, env, auth if len(auth) == 2 else None)
    try:
        end = time.monotonic() + PATIENCE_S
        while "ready:" not in (said := (folder / "out").read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.5)
        yield running
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert running.left() == []
    finally:
        process.kill()
        process.wait()
        for pid in running.left():
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that need nothing special of it."""
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="session")
def world(router_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Parameters of a small `calibrate`: tiny router, recorded outcomes."""
    folder = tmp_path_factory.mktemp("world")
    asked = texts(400)
    shutil.copytree(router_checkpoint, folder / "router")
    return {
        "queries": write_jsonl(folder / "q.jsonl", [{"query": text} for text in asked]),
        "outcomes": write_jsonl(folder / "o.jsonl", outcome_rows(asked, policies_for(asked, router_checkpoint))),
        "router_path": str(folder / "router"),
    }


@contextmanager
def browsing(**options: Any) -> Iterator[Any]:
    """A page of headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed: make debian, as root")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1400, "height": 1000}, **options)
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


@pytest.fixture
def page(served: Served) -> Iterator[Any]:
    """A page on the machine of the server."""
    with browsing() as opened:
        yield opened
