"""`routecal serve`: server, pool, worker and deployments on this machine until Ctrl-C; state under ./.prefect.

Processes are started here and ended here, the worker first. Prefect's own `--background` can leave a server behind that
goes on writing to the same database.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from routecal.deployments.environment import complaint, environment
from routecal.flows.path_checks import local_path, refusal
from routecal.storage.errors import LockHeld
from routecal.storage.lock import locked

LOCK = "serve.lock"
STARTS_WITHIN_S = 120.0
# As long as Prefect gives a run that is cancelled: it stores what is in flight and paid for.
ENDS_WITHIN_S = 30.0

HELP = """Start a Prefect server, a worker and every deployment on this machine, and print the address of the UI.

Ctrl-C stops all of it; runs store what is in flight and paid for, and go on with Retry after the next start.
Runs work in the current folder: artifacts in ./artifacts, the server's state and logs in ./.prefect.

environment variables
  PREFECT_SERVER_API_PORT   port of the UI (default 4200)
  PREFECT_HOME              folder of the server's state (default ./.prefect)
  ROUTECAL_HOME             folder of the artifacts (default ./artifacts)
  ROUTECAL_TIMEZONE         time zone of the nightly schedule, as Europe/Berlin (default UTC)
  ROUTECAL_WEBHOOK_URL      address that is told of failed runs and of heads that wait for approval
"""


def serve() -> int:
    """Run until Ctrl-C or SIGTERM; the exit code says whether it ended by that."""
    env = environment()
    if wrong := complaint(env):
        return _refuse(wrong)
    os.environ.update(env)
    stop, kill = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: kill.set() if stop.is_set() else stop.set())
    api = env["PREFECT_API_URL"]
    with ExitStack() as stack:
        if wrong := unusable_folder(env):
            return _refuse(wrong)
        folder = _folder(env)
        try:
            lock = stack.enter_context(locked(folder / LOCK, f"{api.removesuffix('/api')}, process {os.getpid()}"))
        except LockHeld as held:
            return _refuse(
                f"`routecal serve` runs in {folder} already ({held.note}), and two would write to one database; "
                "stop it, or set PREFECT_HOME to another folder and PREFECT_SERVER_API_PORT to another port"
            )
        if _answers(api):
            return _refuse(
                f"something answers at {api} already; stop it, or set PREFECT_SERVER_API_PORT to a free port"
            )
        if wrong := unusable_port(env):
            return _refuse(wrong)
        server = stack.enter_context(_running("server", ["routecal.deployments.patched_server"], env, kill, holds=lock))
        print("starting the Prefect server …", flush=True)
        if not _wait_for(api, server, stop):
            if stop.is_set():
                return 0
            return _refuse("the server did not start; its log is .prefect/server.log")
        print("deploying …", flush=True)
        # In a session of its own: Ctrl-C would end it with a traceback.
        setup = [sys.executable, "-m", "routecal.deployments.setup"]
        done = subprocess.run(setup, env=env, check=False, start_new_session=True)
        if stop.is_set():
            return 0
        if done.returncode:
            return _refuse("nothing was served, as deploying failed; the reason is above")
        arguments = ["prefect", "worker", "start", "--pool", "local", "--type", "process"]
        worker = stack.enter_context(_running("worker", arguments, env, kill))
        print(f"ready: {api.removesuffix('/api')}  (Ctrl-C stops everything)", flush=True)
        while not stop.wait(0.5):
            for process, name in ((server, "server"), (worker, "worker")):
                if process.poll() is not None:
                    return _refuse(f"the {name} ended with code {process.returncode}; see .prefect/{name}.log")
        print("stopping …", flush=True)
        _drain(worker, kill)
    return 0


def unusable_folder(env: Mapping[str, str]) -> str:
    """Why a server could not write where these variables say; empty if it can."""
    for name, default in (("PREFECT_HOME", ".prefect"), ("ROUTECAL_HOME", "artifacts")):
        folder = local_path(env.get(name) or default)
        if folder is not None and (reason := refusal(Path(folder))):
            return f"{folder} cannot be written to ({reason}); set {name} to a folder that can"
    return ""


def unusable_port(env: Mapping[str, str]) -> str:
    """Why a server could not listen where these variables say; empty if it can."""
    host, port = env["PREFECT_SERVER_API_HOST"], env["PREFECT_SERVER_API_PORT"]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server does: a port that was left a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            return (
                f"port {port} of {host} cannot be used ({error.strerror}); set PREFECT_SERVER_API_PORT to a free port"
            )
    return ""


def _folder(env: Mapping[str, str]) -> Path:
    """Of the server's database and logs."""
    return Path(env.get("PREFECT_HOME") or ".prefect").resolve()


@contextmanager
def _running(
    name: str, module: Sequence[str], env: dict[str, str], kill: threading.Event, *, holds: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A module in a process group of its own, so that Ctrl-C reaches it through us alone; ended with its children.

    Args:
        name: of its log.
        module: its name and its arguments.
        env: its environment.
        kill: set when nobody wants to wait for its end.
        holds: a lock that it shares, so that one that outlives us, who were killed, still keeps others out.
    """
    folder = _folder(env)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=() if holds is None else (holds,),
        )
    try:
        yield process
    finally:
        _end(process, kill)


def _drain(worker: subprocess.Popen[bytes], kill: threading.Event) -> None:
    """Ask the runs of a worker to end, and wait for them: ended first, it would kill them, with calls in flight."""
    try:
        runs = psutil.Process(worker.pid).children()
    except psutil.NoSuchProcess:
        return
    if runs:
        print("runs store what is in flight; they go on with Retry (Ctrl-C again kills them)", flush=True)
    for run in runs:
        with suppress(psutil.NoSuchProcess):
            run.terminate()
    until = time.monotonic() + ENDS_WITHIN_S
    while runs and time.monotonic() < until and not kill.is_set():
        runs = psutil.wait_procs(runs, timeout=0.2)[1]


def _end(process: subprocess.Popen[bytes], kill: threading.Event) -> None:
    """SIGTERM to the group, SIGKILL to what has not ended in time: a worker whose server was restarted ignores one."""
    until = time.monotonic() + ENDS_WITHIN_S
    is_left = _signal(process, signal.SIGTERM)
    while is_left and time.monotonic() < until and not kill.wait(0.1):
        process.poll()  # a zombie would be left for ever
        is_left = _signal(process, 0)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(group: subprocess.Popen[bytes], number: int) -> bool:
    """Whether anything is left of a process group, to which a signal is sent."""
    try:
        os.killpg(group.pid, number)
    except (ProcessLookupError, PermissionError):  # on macOS, of zombies
        return False
    return True


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


def main(argv: Sequence[str]) -> int:
    """`routecal serve`; the exit code."""
    parser = argparse.ArgumentParser(
        prog="routecal serve", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    return serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
