"""Somebody who answers a run that waits, in a thread beside it."""

import json
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import pytest
from prefect import runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectHTTPStatusError

PAUSED = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))

# A flow that asks waits six minutes; a form that never comes fails the test before.
FORM_WITHIN_S = 60

T = TypeVar("T")
# What somebody does to a run that waits, with a client of the server.
Person = Callable[[SyncPrefectClient, UUID], Any]


def pretend_deployed(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Let a module of ours take this run for one of a deployment."""
    found = SimpleNamespace(deployment=SimpleNamespace(id="of a deployment"), flow_run=runtime.flow_run)
    monkeypatch.setattr(module, "runtime", found)


def form(client: SyncPrefectClient, run: UUID) -> dict[str, Any]:
    """What a person sees of a run that is paused; empty for the moment before it is there."""
    state = client.read_flow_run(run).state
    keys = state.state_details.run_input_keyset if state else None
    try:
        return dict(json.loads(client.read_flow_run_input(run, keys["schema"]))["properties"]) if keys else {}
    except PrefectHTTPStatusError:
        return {}


def beside(person: Person, flow: Callable[[], T]) -> T:
    """What the flow returns, while somebody acts as soon as it waits."""

    def act() -> None:
        with get_client(sync_client=True) as client:
            deadline = time.monotonic() + FORM_WITHIN_S
            while not (waiting := client.read_flow_runs(flow_run_filter=PAUSED)) or not form(client, waiting[0].id):
                assert time.monotonic() < deadline, "no run waits with a form"
                time.sleep(0.1)
            person(client, waiting[0].id)

    acting = threading.Thread(target=act)
    acting.start()
    try:
        return flow()
    finally:
        acting.join()
