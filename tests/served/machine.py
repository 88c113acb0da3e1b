"""A machine whose Prefect processes a test starts and kills one by one, with everything in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from routecal.deployments.environment import WEBHOOK_URL, environment
from tests.patience import PATIENCE_S
from tests.served.conftest import ROOT, Served, free_port
from tests.served.hook import listening

Process = subprocess.Popen[str]

# How often runs on a watched machine beat, and what is said of one that does not.
BEAT_S, SILENT = 30, "no heartbeat for 1.5 minutes"


class Machine:
    """Server, worker and flow processes on one folder; each can be killed, and started again.

    Attributes:
        env: of all its processes.
        served: how to ask the server.
        heard: what its webhook was told, if it has one.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        port = str(free_port())
        others = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROUTECAL_"))}
        own = {
            "PREFECT_HOME": f"{folder}/.prefect",
            "ROUTECAL_HOME": f"{folder}/artifacts",
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": f"{folder}/artifacts/results",
            "PREFECT_SERVER_API_PORT": port,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.env = environment(others | own | variables)
        self._variables = others | own | variables
        self.folder = folder
        (folder / ".prefect").mkdir()
        self.served: Any = None
        self.heard: list[str] = []
        self.servers: list[Process] = []
        self.workers: list[Process] = []
        self._started: list[Process] = []
        self._url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """A server, a worker and everything deployed."""
        self.servers.append(self.server())
        self.set_up()
        self.workers.append(self.worker())

    def server(self) -> Process:
        """Start the Prefect server and wait until it answers."""
        process = self._start("server", "-m", "routecal.deployments.patched_server")
        self.served = Served(process, self._url, self.folder, self.env)
        self.wait(lambda: _answers(f"{self._url}/api/health"), process, "server")
        return process

    def set_up(self) -> None:
        """Deploy everything."""
        subprocess.run([sys.executable, "-m", "routecal.deployments.setup"], cwd=ROOT, env=self.env, check=True)

    def worker(self) -> Process:
        """Start a worker."""
        return self._start("worker", "-m", "prefect", "worker", "start", "--pool", "local", "--type", "process")

    def serve(self) -> Process:
        """`make serve`, as a person has it after a restart; the process."""
        out = self.folder / ".prefect" / "serve.log"
        out.unlink(missing_ok=True)
        process = self._start("serve", "-m", "routecal.deployments.serve", env=self._variables)
        self.served = Served(process, self._url, self.folder, self.env)
        self.wait(lambda: "ready:" in out.read_text(), process, "serve")
        return process

    def flow_processes(self, run: str) -> list[int]:
        """Those that run this flow run."""
        return self.left(f"PREFECT__FLOW_RUN_ID={run}")

    def left(self, mark: str = "") -> list[int]:
        """Processes of this machine, by the folder in their environment, and by another mark if one is given."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                variables = path.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if f"PREFECT_HOME={self.folder}/.prefect" in variables and (not mark or mark in variables):
                found.append(int(path.parent.name))
        return found

    def kill(self, *pids: int) -> None:
        """SIGKILL, until they are gone; of everything here if none is named."""
        end = time.monotonic() + PATIENCE_S
        while found := [pid for pid in pids or self.left() if _is_running(pid)]:
            assert time.monotonic() < end, found
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        # A zombie may have threads that are still ending: until then nobody can take its status.
        for process in self._started:
            if not pids or process.pid in pids:
                process.wait(PATIENCE_S)
            else:
                process.poll()

    def wait(self, condition: Callable[[], Any], process: Process | None = None, log: str = "worker") -> None:
        """Until something holds, unless the process ends."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert process is None or process.poll() is None, self.served.log(log)
            assert time.monotonic() < end, self.served.log(log)
            time.sleep(0.1)

    def retry(self, run: str) -> dict[str, Any]:
        """Press Retry, as the UI does, until the run has completed, or waits for somebody; its state.

        A worker says a second time, some seconds later, that a run crashed; a Retry before that is lost (Prefect).
        """
        for _ in range(3):
            again = {"type": "SCHEDULED", "name": "AwaitingRetry"}
            self.served.ask("POST", f"/flow_runs/{run}/set_state", state=again, force=True)
            state = self.served.until(run, "COMPLETED", "PAUSED", "FAILED", "CRASHED", "CANCELLED")
            if state["type"] != "CRASHED":
                break
            time.sleep(10)
        return dict(state)

    def _start(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> Process:
        command = [sys.executable, *arguments]
        with open(self.folder / ".prefect" / f"{name}.log", "a") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=env or self.env, stdout=log, stderr=log, text=True, start_new_session=True
            )
        self._started.append(process)
        return process


@contextmanager
def machine(folder: Path, **variables: str) -> Iterator[Machine]:
    """A machine of which nothing is left at the end."""
    running = Machine(folder, **variables)
    try:
        yield running
    finally:
        running.kill()


@contextmanager
def watched(folder: Path, **variables: str) -> Iterator[Machine]:
    """A machine with everything started, whose runs are missed soon, and with a webhook that is told of them."""
    with listening() as hook:
        own = {WEBHOOK_URL: hook.url, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT_S)}
        with machine(folder, **own, **variables) as running:
            running.heard = hook.heard
            running.start()
            yield running


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _is_running(pid: int) -> bool:
    """Whether it is there and more than a zombie, which nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
