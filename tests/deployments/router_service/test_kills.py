"""The command itself: killed under load again and again, no decision that was answered is missing from its log."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS
from tests.calib.packed import QUERIES
from tests.deployments.router_service.raw_upstream import RawUpstream, raw_upstream
from tests.patience import PATIENCE_S

KILLS = 20


# Imports once, and forks for every line of arguments: torch takes seconds to import and none to fork before it is used.
ZYGOTE = """
import json, os, signal, sys
from routecal.calib.calibrated_router import CalibratedRouter
from routecal.deployments.router_service import app, command, decider, service
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("loaded", flush=True)
for line in sys.stdin:
    if not (pid := os.fork()):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os._exit(command.main(json.loads(line)))
    print("forked", pid, flush=True)
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator["subprocess.Popen[str]"]:
    """What forks services."""
    env, pipe = os.environ | {"OMP_NUM_THREADS": "1"}, subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ZYGOTE], stdin=pipe, stdout=pipe, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def serve_router(
    zygote: "subprocess.Popen[str]", packed: Path, log: Path, medium: RawUpstream, large: RawUpstream
) -> Iterator[tuple[str, int]]:
    """The command in a process of its own; yields its address and its number."""
    options = ["--medium-url", medium.url, "--medium-model", "flash", "--large-url", large.url, "--large-model", "pro"]
    more = ["--head", str(packed), "--log", str(log), "--port", "0"]
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    zygote.stdin.write(json.dumps([*options, *more]) + "\n")
    zygote.stdin.flush()
    said: dict[str, list[str]] = {}
    while not {"forked", "ready:"} <= said.keys():
        words = zygote.stdout.readline().split()
        said[words[0]] = words[1:]
    pid = int(said["forked"][0])
    try:
        yield said["ready:"][0].removesuffix("/v1"), pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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
    assert len(answered) > KILLS


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
