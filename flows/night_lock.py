"""One night at a time in a home, whoever starts it: a schedule, the UI, a terminal, another deployment."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import Abort
from prefect.states import Cancelled

from routecal.storage.atomic import local_path
from routecal.storage.errors import LockHeld
from routecal.storage.layout import Home
from routecal.storage.lock import locked
from routecal.tasks.errors import NightRuns
from routecal.tasks.night.head_decisions import FLOW_RUN, entry_asked_by

LOCK = ".night.lock"
# How long a Retry waits for a process of the same run, which was thought dead and looks every ten seconds.
HANDOVER_S = 60.0


@contextmanager
def one_night() -> Iterator[None]:
    """Keep other nights of this home out while the block runs.

    No limit of the deployment: Prefect frees its slot when a run is paused, and kills the run four minutes later for
    having lost it; and it knows of one deployment only. A home in an object store has no lock: there, of two nights at
    once, the registry lets one decide.

    Raises:
        Abort: another night has not ended yet, as the `NightRuns` that causes it says; the run is Cancelled by now.
    """
    path = local_path(f"{Home.from_env().root}/{LOCK}")
    with ExitStack() as held:
        if path is not None:
            try:
                _take_lock(held, path)
            except NightRuns as error:
                _drop(error)
        yield


def _take_lock(held: ExitStack, path: Path) -> None:
    own = str(runtime.flow_run.id or "")
    note = {"run": runtime.flow_run.name, FLOW_RUN: own, "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    until = time.monotonic() + HANDOVER_S
    while True:
        try:
            held.enter_context(locked(path, json.dumps(note)))
            return
        except LockHeld as error:
            other = _read(error.note)
            if other.get(FLOW_RUN) != own or time.monotonic() > until:
                entry = entry_asked_by(other.get(FLOW_RUN, ""))
                raise NightRuns(
                    other.get("run") or "of another process",
                    other.get("since", "a moment ago"),
                    None if entry is None else entry.number,
                ) from error
            time.sleep(0.5)


def _read(note: str) -> dict[str, str]:
    """What the holder says of itself; nothing in the moment before it has."""
    try:
        return dict(json.loads(note))
    except ValueError:
        return {}


def _drop(error: NightRuns) -> None:
    """End this run: one that is late is cancelled, which is no failure that is reported to people."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(str(runtime.flow_run.id)), Cancelled(message=str(error)), force=True)
    raise Abort(str(error)) from error
