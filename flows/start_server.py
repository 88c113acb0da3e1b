"""Start Prefect's temporary server for a command that no setting names another for."""

import atexit
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

import httpx

from routecal.flows import temporary_server
from routecal.flows.errors import ServerNotStarted
from routecal.tasks.lasting_server import TEMPORARY

ANSWERS_WITHIN_S, ENDS_WITHIN_S, SAYS_EVERY_S = 5.0, 5.0, 30.0


def start_server() -> Callable[[], None]:
    """Start Prefect's temporary server in a session of its own, where Ctrl-C does not reach it.

    A terminal sends SIGINT to every process of a command. The server would end at once, and the run, which has yet to
    store what is in flight and to say how it ended, would wait for it for minutes. It ends with this process, however
    that ends: see `flows.temporary_server`.

    Returns:
        What waits until it answers, or raises ServerNotStarted: it ended, or is not ready in time.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, get_current_settings

    home = Path(os.environ["PREFECT_HOME"]).expanduser()
    home.mkdir(parents=True, exist_ok=True)
    log = home / "temporary-server.log"
    own = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    # Ours from now on: another command that starts could take a port that is only known to be free, and its server
    # would then answer for ours.
    with socket.socket() as bound, open(log, "ab") as output:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/api"
        process = subprocess.Popen(
            # By its path and with -P: a folder of the user's may be called flows, too.
            [sys.executable, "-P", temporary_server.__file__, str(os.getpid()), str(bound.fileno())],
            env={**os.environ, **own, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[bound.fileno()],
        )
    atexit.register(_stop, process)
    within_s = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    # Prefect's clients would look for a server that they start themselves, and import all of one for that: three
    # seconds. Workers of an engine are told by the same variable.
    os.environ |= {"PREFECT_API_URL": url, TEMPORARY: "1"}
    with redirect_stderr(io.StringIO()):  # what is wrong with profiles was said when they were read first
        refresh_global_settings_context()
    return partial(_wait, process, f"{url}/health", log, time.monotonic(), within_s)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _wait(process: subprocess.Popen[bytes], health: str, log: Path, began: float, within_s: float) -> None:
    says_at = began + SAYS_EVERY_S
    with httpx.Client(timeout=ANSWERS_WITHIN_S, trust_env=False) as client:
        while True:
            if process.poll() is not None:
                raise ServerNotStarted(f"it ended with code {process.returncode}", str(log))
            try:
                if client.get(health).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            now = time.monotonic()
            if now - began >= within_s:
                raise ServerNotStarted(f"it did not answer within {within_s:g} s", str(log))
            if now >= says_at:
                says_at = now + SAYS_EVERY_S
                took = f"{now - began:.0f} s"
                print(f"prefect: the temporary server has been starting for {took}", file=sys.stderr)
            time.sleep(0.1)
