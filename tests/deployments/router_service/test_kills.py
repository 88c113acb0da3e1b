"""The command itself: killed under load again and again, no decision that was answered is missing from its log."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS
from tests.calib.test_calibrated_router import QUERIES
from tests.deployments.router_service.raw_upstream import RawUpstream, raw_upstream
from tests.patience import PATIENCE_S

KILLS = 20


@contextmanager
def serve_router(packed: Path, log: Path, medium: RawUpstream, large: RawUpstream) -> Iterator[tuple[str, int]]:
    """The command in a process of its own; yields its address and its number."""
    options = ["--medium-url", medium.url, "--medium-model", "flash", "--large-url", large.url, "--large-model", "pro"]
    command = [sys.executable, "-m", "routecal", "serve-router", *options, "--head", str(packed), "--log", str(log)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("ready: "))
            yield line.split()[1].removesuffix("/v1"), process.pid
        finally:
            process.kill()


def ask(url: str, answered: list[str], stop: threading.Event) -> None:
    """One request after the other; notes the decisions that it heard of."""
    with httpx.Client(timeout=30) as client:
        while not stop.is_set():
            try:
                query = random.choice(QUERIES)
                body = {"model": "auto", "messages": [{"role": "user", "content": query}], "stream": True}
                with client.stream("POST", f"{url}/v1/chat/completions", json=body) as said:
                    answered.append(said.headers["x-routecal-decision-id"])
                    said.read()
            except (httpx.HTTPError, KeyError):
                return


@pytest.mark.served
def test_no_decision_that_was_answered_is_missing_after_a_kill(packed: Path, tmp_path: Path) -> None:
    rng, answered, log = random.Random(7), list[str](), tmp_path / "served"
    with raw_upstream() as medium, raw_upstream() as large:
        for _ in range(KILLS):
            with serve_router(packed, log, medium, large) as (url, pid):
                stop = threading.Event()
                callers = [threading.Thread(target=ask, args=(url, answered, stop)) for _ in range(4)]
                for caller in callers:
                    caller.start()
                time.sleep(rng.uniform(0.2, 1.0))
                os.kill(pid, signal.SIGKILL)
                stop.set()
                for caller in callers:
                    caller.join(PATIENCE_S)
            logged = read_served(log / "decisions", DECISIONS)["decision_id"].to_pylist()
            assert len(set(logged)) == len(logged)
            assert set(answered) <= set(logged)
    assert len(answered) > 10 * KILLS


@pytest.mark.served
def test_ctrl_c_ends_it_and_the_log_becomes_parquet(packed: Path, tmp_path: Path) -> None:
    log = tmp_path / "served"
    with raw_upstream() as medium, raw_upstream() as large, serve_router(packed, log, medium, large) as (url, pid):
        assert httpx.post(f"{url}/v1/route", json={"query": QUERIES[0]}).status_code == 200
        os.kill(pid, signal.SIGINT)
        until = time.monotonic() + PATIENCE_S
        while list((log / "decisions").glob("*.jsonl")):
            assert time.monotonic() < until
            time.sleep(0.05)
    assert read_served(log / "decisions", DECISIONS).num_rows == 1
