"""The command itself: killed under load again and again, no decision that was answered is missing from its log."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS
from tests.calib.packed import QUERIES
from tests.deployments.router_service.command import forking, serve_router
from tests.deployments.router_service.raw_upstream import raw_upstream
from tests.patience import PATIENCE_S

KILLS = 20


@pytest.fixture(scope="module")
def zygote() -> Iterator["subprocess.Popen[str]"]:
    """What forks services."""
    with forking() as process:
        yield process


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
def test_no_decision_that_was_answered_is_missing_after_a_kill(
    zygote: "subprocess.Popen[str]", packed: Path, tmp_path: Path
) -> None:
    rng, answered, log = random.Random(7), list[str](), tmp_path / "served"
    with raw_upstream() as medium, raw_upstream() as large:
        for _ in range(KILLS):
            with serve_router(zygote, packed, log, medium, large) as (url, pid):
                stop = threading.Event()
                callers = [threading.Thread(target=ask, args=(url, answered, stop)) for _ in range(4)]
                before, until = len(answered), time.monotonic() + PATIENCE_S
                for caller in callers:
                    caller.start()
                # On a busy machine the first answer takes longer than the time until the kill.
                while len(answered) == before:
                    assert time.monotonic() < until
                    time.sleep(0.01)
                time.sleep(rng.uniform(0.2, 1.0))
                os.kill(pid, signal.SIGKILL)
                stop.set()
                for caller in callers:
                    caller.join(PATIENCE_S)
            logged = read_served(log / "decisions", DECISIONS)["decision_id"].to_pylist()
            assert len(set(logged)) == len(logged)
            assert set(answered) <= set(logged)
    assert len(answered) >= KILLS


@pytest.mark.served
def test_ctrl_c_ends_it_and_the_log_becomes_parquet(
    zygote: "subprocess.Popen[str]", packed: Path, tmp_path: Path
) -> None:
    log = tmp_path / "served"
    with (
        raw_upstream() as medium,
        raw_upstream() as large,
        serve_router(zygote, packed, log, medium, large) as (url, pid),
    ):
        assert httpx.post(f"{url}/v1/route", json={"query": QUERIES[0]}).status_code == 200
        os.kill(pid, signal.SIGINT)
        until = time.monotonic() + PATIENCE_S
        while list((log / "decisions").glob("*.jsonl")):
            assert time.monotonic() < until
            time.sleep(0.05)
    assert read_served(log / "decisions", DECISIONS).num_rows == 1
