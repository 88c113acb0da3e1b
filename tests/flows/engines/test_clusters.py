"""A cluster that somebody else started: used by its address, looked at first, left as it is."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from routecal.flows.errors import ClusterUnusable
from routecal.flows.extract import extract
from routecal.flows.params import ExtractParams

pytestmark = pytest.mark.usefixtures("_own_results")

READY_S = 90


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a folder of its own, ended with all that it started."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until_it_answers(port: int) -> None:
    """Other people's programs say nothing when they are ready."""
    until = time.monotonic() + READY_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.fixture
def cluster(engine: str, tmp_path: Path) -> Iterator[str]:
    """Its address, as `--on` has it; two workers."""
    (folder := tmp_path / "cluster").mkdir()
    port = free_port()
    if engine == "ray":
        more = [
            f"--ray-client-server-port={port}",
            "--num-cpus=2",
            "--include-dashboard=false",
            "--disable-usage-stats",
        ]
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
        with running(
            [
                *ray,
                "--node-ip-address=127.0.0.1",
                f"--port={free_port()}",
                f"--object-store-memory={128 * 1024**2}",
                *more,
            ],
            folder,
        ):
            until_it_answers(port)
            yield f"ray://127.0.0.1:{port}"
        return
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--no-dashboard"]
    with running([*scheduler, "--port", str(port)], folder):
        until_it_answers(port)
        with running([*worker, "--nworkers", "2", "--nthreads", "1"], folder):
            yield f"dask://127.0.0.1:{port}"


# Ray's client tries again where the machine is busy, and warns.
@pytest.mark.filterwarnings("ignore:Ray Client connection timed out")
def test_a_cluster_extracts_what_one_process_does_and_goes_on_living(
    cluster: str, alone: ExtractParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = extract(alone)
    for name in ("first", "second"):
        monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / name))
        assert extract(alone.model_copy(update={"on": cluster})) == here

    # A home that lives in our memory is one that no worker sees.
    monkeypatch.setenv("ROUTECAL_HOME", "memory://home")
    with pytest.raises(ClusterUnusable, match="its workers do not see the artifacts in memory://home; set ROUTECAL_HO"):
        extract(alone.model_copy(update={"on": cluster}))
