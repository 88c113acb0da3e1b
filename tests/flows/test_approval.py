"""A run that asks a person, through the real server; `tests/served` kills what it runs on."""

import json
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Abort, PrefectHTTPStatusError
from prefect.states import Crashed, Running

from flows import approval
from flows.approval import ask

pytestmark = pytest.mark.usefixtures("_own_results")

PAUSED = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))

# A flow that asks waits six minutes; a form that never comes fails the test before.
FORM_WITHIN_S = 60

# What somebody does to a run that waits, with a client of the server.
Person = Callable[[SyncPrefectClient, UUID], Any]


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run of a deployment, but looked at more often."""
    found = SimpleNamespace(deployment=SimpleNamespace(id="of a deployment"), flow_run=runtime.flow_run)
    monkeypatch.setattr(approval, "runtime", found)
    monkeypatch.setattr(approval, "POLL_S", 1)


def form(client: SyncPrefectClient, run: UUID) -> dict[str, Any]:
    """What a person sees of a run that is paused; empty for the moment before it is there."""
    state = client.read_flow_run(run).state
    keys = state.state_details.run_input_keyset if state else None
    try:
        return dict(json.loads(client.read_flow_run_input(run, keys["schema"]))["properties"]) if keys else {}
    except PrefectHTTPStatusError:
        return {}


@flow
def asking(hours: float) -> dict[str, Any] | None:
    """What was answered."""
    answer = ask("Shall we?", hours=hours)
    return None if answer is None else answer.model_dump()


def asked(person: Person) -> dict[str, Any] | None:
    """What the flow makes of what somebody does as soon as it waits."""

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
        return asking(hours=0.1)
    finally:
        acting.join()


@pytest.mark.parametrize("answer", [{"promote": True, "note": "looks good"}, {"promote": False, "note": ""}])
def test_an_answer_is_taken_as_it_is(answer: dict[str, Any]) -> None:
    assert asked(lambda client, run: client.resume_flow_run(run, run_input=answer)) == answer


def test_the_form_begins_with_yes_and_asks_for_an_answer_all_the_same() -> None:
    said: list[Any] = []

    def look_and_answer(client: SyncPrefectClient, run: UUID) -> None:
        said.append(form(client, run)["promote"]["default"])
        said.append(client.resume_flow_run(run).status)
        client.resume_flow_run(run, run_input={"promote": True})

    assert asked(look_and_answer) == {"promote": True, "note": ""}
    assert said == [True, SetStateStatus.REJECT]


def test_no_answer_is_no_yes() -> None:
    """A Retry sets the run going, and the process that waits was only thought dead: it leaves the run alone."""
    with pytest.raises(Abort):
        asked(lambda client, run: client.set_flow_run_state(run, Running(), force=True))


def test_a_run_that_is_marked_crashed_is_left_alone() -> None:
    with pytest.raises(Abort):
        asked(lambda client, run: client.set_flow_run_state(run, Crashed(), force=True))


def test_a_server_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    looks = iter([httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
    look = approval._is_in

    def away(*arguments: Any) -> bool:
        if (error := next(looks, None)) is not None:
            raise error
        return look(*arguments)

    monkeypatch.setattr(approval, "_is_in", away)
    assert asked(lambda client, run: client.resume_flow_run(run, run_input={"promote": True})) is not None
    assert "asking again" in caplog.text


def test_a_run_that_nobody_answers_goes_on_and_completes() -> None:
    state = asking(hours=1e-4, return_state=True)
    assert state.is_completed()
    assert state.result() is None


def test_a_run_from_a_terminal_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "runtime", runtime)
    assert asking(hours=1.0) is None
