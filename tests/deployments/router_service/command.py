"""`routecal serve-router` in processes of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.deployments.router_service.raw_upstream import RawUpstream

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


@contextmanager
def forking() -> Iterator["subprocess.Popen[str]"]:
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
    zygote: "subprocess.Popen[str]",
    packed: Path,
    log: Path,
    medium: RawUpstream,
    large: RawUpstream,
    more: Sequence[str] = (),
) -> Iterator[tuple[str, int]]:
    """The command in a process of its own; yields its address and its number."""
    options = ["--medium-url", medium.url, "--medium-model", "flash", "--large-url", large.url, "--large-model", "pro"]
    options += ["--head", str(packed), "--log", str(log), "--port", "0"]
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
