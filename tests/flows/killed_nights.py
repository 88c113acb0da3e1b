"""Nights as processes that kill themselves with SIGKILL at a boundary: before or after a task, a result, a file.

A parent imports everything once and forks a child for each order, a line of JSON on its standard input; importing takes
longer than a night. It has no thread and no client of Prefect's when it forks.
"""

import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from tests.flows.plain import make_plain

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """How a night ended.

    Attributes:
        code: of the process; -9 if it killed itself.
        passed: the boundaries that it came to, the last one is where it died.
        left: of each boundary a digest of what the home held then.
        run: the Prefect run.
        told: its result as JSON; None if it has none.
        error: what it raised.
    """

    code: int
    passed: list[str]
    left: list[str]
    run: str
    told: dict[str, Any] | None
    error: str

    @property
    def bodies(self) -> list[str]:
        """Tasks whose body ran: their results were not found."""
        return [at.removeprefix("made ") for at in self.passed if at.startswith("made ")]


class Nights:
    """The parent, seen from a test."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(self, home: Path, params: dict[str, Any], *, die_at: int | None = None, retry: str | None = None) -> Ended:
        """A night in `home`, from its start to its end.

        Args:
            home: for its artifacts and results.
            params: of the flow.
            die_at: it kills itself on coming to this boundary, counted from 0.
            retry: the run that is to go on, as the UI's Retry makes it; by default a new one.
        """
        said = self._folder / f"{os.urandom(6).hex()}.said"
        order = {"home": str(home), "params": params, "die_at": die_at, "retry": retry, "said": str(said)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the parent of the nights ended"
        found: dict[str, list[Any]] = {name: [] for name in ("at", "left", "run", "told", "error")}
        for entry in said.read_text("utf-8").splitlines():
            for name, value in json.loads(entry).items():
                found[name].append(value)
        (told,), (error,), (run,) = found["told"] or [None], found["error"] or [""], found["run"] or [""]
        return Ended(int(line), found["at"], found["left"], run, told, error)


@contextmanager
def nights(folder: Path, api: str) -> Iterator[Nights]:
    """A parent for nights on a Prefect server that outlives them."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROUTECAL_"))} | {
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.flows.killed_nights"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Nights(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()


# ---- in the parent and its children


# What a night imports only when it comes to it.
LATER = (
    "accelerate",
    "matplotlib.backends.backend_agg",
    "prefect.engine",
    "prefect.server.api.server",
    "pyarrow.dataset",
    "torch._dynamo",
    "transformers.models.gemma3.modeling_gemma3",
)


def main() -> None:
    """Fork a night for each line; tell how it ended."""
    for name in ("routecal.flows.recalibrate", *LATER):
        importlib.import_module(name)
    make_plain(pytest.MonkeyPatch())
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        assert threading.active_count() == 1
        child = os.fork()
        if not child:
            _night(json.loads(line))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


def _night(order: dict[str, Any]) -> NoReturn:
    code = 1
    with open(order["said"], "a", encoding="utf-8", buffering=1) as said:

        def say(**values: Any) -> None:
            said.write(json.dumps(values) + "\n")

        os.environ["ROUTECAL_HOME"] = order["home"]
        try:
            say(told=_told(order, say))
            code = 0
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}")
    os._exit(code)


def _told(order: dict[str, Any], say: Callable[..., None]) -> Any:
    from prefect import runtime
    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.states import AwaitingRetry

    from routecal.flows.night_params import RecalibrateParams
    from routecal.flows.recalibrate import recalibrate

    home, passed = Path(order["home"]), 0

    def at(boundary: str) -> None:
        nonlocal passed
        if not passed:
            say(run=str(runtime.flow_run.id))
        say(at=boundary, left=_listing(home))
        if passed == order["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    _watch_tasks(at)
    _watch_files(at, home)
    own = {PREFECT_LOCAL_STORAGE_PATH: home / "results", PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(own):
        parameters = {"params": RecalibrateParams(**order["params"])}
        run = None
        if order["retry"] is not None:
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(order["retry"], AwaitingRetry(), force=True)
                run = client.read_flow_run(order["retry"])
        return run_flow(recalibrate, flow_run=run, parameters=parameters).model_dump(mode="json")


def _listing(home: Path) -> str:
    """A digest of the names and sizes of all files."""
    files = sorted((str(path), path.lstat().st_size) for path in home.rglob("*") if not path.is_dir())
    return hashlib.sha256(repr(files).encode()).hexdigest()[:16]


def _watch_tasks(at: Callable[[str], None]) -> None:
    """Before a task, when its body has ended and nothing is stored of it yet, and after it."""
    from prefect import task_engine
    from prefect.task_engine import SyncTaskRunEngine

    run, succeed = task_engine.run_task_sync, SyncTaskRunEngine.handle_success

    def watched_run(*args: Any, **more: Any) -> Any:
        name = more["task"].name
        at(f"before {name}")
        result = run(*args, **more)
        at(f"after {name}")
        return result

    def watched_success(self: Any, result: Any, transaction: Any) -> Any:
        at(f"{'found' if transaction.is_committed() else 'made'} {self.task.name}")
        return succeed(self, result, transaction)

    task_engine.run_task_sync, SyncTaskRunEngine.handle_success = watched_run, watched_success


def _watch_files(at: Callable[[str], None], home: Path) -> None:
    """Before and after a file or a folder of the home gets its name."""
    for name in ("link", "rename", "replace"):
        real = getattr(os, name)

        def watched(source: Any, target: Any, *args: Any, _real: Any = real, **more: Any) -> None:
            place = Path(target).relative_to(home).parts[0] if Path(target).is_relative_to(home) else ""
            is_ours = place and not place.startswith(".")
            if is_ours:
                at(f"before a name in {place}")
            _real(source, target, *args, **more)
            if is_ours:
                at(f"after a name in {place}")

        setattr(os, name, watched)


if __name__ == "__main__":
    main()
