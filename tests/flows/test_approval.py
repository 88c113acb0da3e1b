"""A run that asks a person, through the real server; `tests/served` kills what it runs on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow, runtime
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Abort
from prefect.states import Crashed, Running

from routecal.flows import approval
from routecal.flows.approval import ask
from tests.flows.people import Person, beside, form, pretend_deployed

pytestmark = pytest.mark.usefixtures("_own_results")


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run of a deployment, but looked at more often."""
    pretend_deployed(monkeypatch, approval)
    monkeypatch.setattr(approval, "POLL_S", 0.5)


@flow
def asking(hours: float, is_answered: Callable[[], bool] | None = None) -> dict[str, Any] | None:
    """What was answered."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    answer = ask("Shall we?", awaited="an answer is awaited", until=until, is_answered=is_answered or bool)
    return None if answer is None else answer.model_dump()


def asked(person: Person) -> dict[str, Any] | None:
    """What the flow makes of what somebody does as soon as it waits."""
    return beside(person, lambda: asking(hours=0.1))


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


def test_the_run_page_says_what_is_awaited_in_its_state_and_in_an_artifact() -> None:
    said: list[Any] = []

    def look_and_answer(client: SyncPrefectClient, run: UUID) -> None:
        state = client.read_flow_run(run).state
        mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        (artifact,) = client.read_artifacts(artifact_filter=mine)
        said.extend([state and state.message, artifact.key, artifact.description, artifact.data])
        client.resume_flow_run(run, run_input={"promote": True})

    assert asked(look_and_answer) is not None
    assert said == ["an answer is awaited", approval.ARTIFACT, "an answer is awaited", "Shall we?"]


def test_of_two_people_in_the_ui_the_second_is_refused() -> None:
    said: list[Any] = []

    def both(client: SyncPrefectClient, run: UUID) -> None:
        for promote in (False, True):
            said.append(client.resume_flow_run(run, run_input={"promote": promote}).status)

    answer = asked(both)
    assert answer is not None
    assert answer["promote"] is False
    assert said == [SetStateStatus.ACCEPT, SetStateStatus.ABORT]


def test_an_answer_that_comes_elsewhere_ends_the_pause_at_once() -> None:
    looks = iter([False, True])
    state = asking(hours=1.0, is_answered=lambda: next(looks), return_state=True)
    assert state.is_completed()
    assert state.result() is None


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
