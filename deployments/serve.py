"""`make serve`: server, pool, worker and deployments on this machine until Ctrl-C; state under ./.prefect.

Processes are started here and ended here, the worker first. Prefect's own `--background` can leave a server behind that
goes on writing to the same database.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from deployments.surroundings import ROOT, environment

STARTS_WITHIN_S, ENDS_WITHIN_S = 120.0, 20.0


def serve() -> int:
    """Run until Ctrl-C or SIGTERM; the exit code says whether it ended by that."""
    env = environment()
    os.environ.update(env)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    api = env["PREFECT_API_URL"]
    with ExitStack() as stack:
        if _answers(api):
            return _refuse(
                f"something answers at {api} already; stop it, or set PREFECT_SERVER_API_PORT to a free port"
            )
        server = stack.enter_context(_running("server", ["deployments.server"], env))
        print("starting the Prefect server …", flush=True)
        if not _wait_for(api, server, stop):
            if stop.is_set():
                return 0
            return _refuse("the server did not start; what it says is in .prefect/server.log")
        print("deploying …", flush=True)
        subprocess.run([sys.executable, "-m", "deployments.setup"], cwd=ROOT, env=env, check=True)
        arguments = ["prefect", "worker", "start", "--pool", "local", "--type", "process"]
        worker = stack.enter_context(_running("worker", arguments, env))
        print(f"ready: {api.removesuffix('/api')}  (Ctrl-C stops everything)", flush=True)
        while not stop.wait(0.5):
            for process, name in ((server, "server"), (worker, "worker")):
                if process.poll() is not None:
                    return _refuse(f"the {name} ended with code {process.returncode}; see .prefect/{name}.log")
        print("stopping …", flush=True)
    return 0


@contextmanager
def _running(name: str, module: Sequence[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A module in a process group of its own, so that Ctrl-C reaches it through us alone; ended with its children."""
    folder = ROOT / ".prefect" if "PREFECT_HOME" not in env else env["PREFECT_HOME"]
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{name}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL for what has not ended: workers whose server was restarted ignore the first."""
    for number, seconds in ((signal.SIGTERM, ENDS_WITHIN_S), (signal.SIGKILL, ENDS_WITHIN_S)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _answers(api: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=2):
            return True
    # With basic auth an answer is 401: somebody is there.
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _wait_for(api: str, server: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and server.poll() is None and not stop.is_set():
        if _answers(api):
            return True
        stop.wait(0.2)
    return False


def _refuse(sentence: str) -> int:
    print(f"routecal: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(serve())
