"""A night that waits for a person: a paused run, resumed with an answer in the UI, or answered in a terminal."""

import gc
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
from prefect import runtime
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Abort, PrefectHTTPStatusError
from prefect.input import Keyset, RunInput, keyset_from_paused_state
from prefect.states import Paused, Running
from pydantic import Field

from routecal.storage.head_registry import Action, RegistryEntry, history
from routecal.storage.layout import Home
from routecal.tasks.extract import open_router
from routecal.tasks.markdown import safe
from routecal.tasks.night.head_decisions import ending_of, is_decided, record_answer
from routecal.tasks.night.night_result import Ending
from routecal.tasks.oracle.local_model import local_model

logger = logging.getLogger(__name__)

# Of the artifact that says what is awaited.
ARTIFACT = "recalibrate-approval"
# How often a run that waits looks whether it was answered.
POLL_S = 10
# How often it says to a server that is away that it goes on, before it gives up.
TRIES = 60


class Approval(RunInput):
    """What the form asks when the run is resumed."""

    # The form begins with yes; it still has to be answered.
    promote: bool = Field(
        description="put the candidate in the serving head's place", json_schema_extra={"default": True}
    )
    note: str = Field(default="", description="why; kept with the decision")


def ask(question: str, *, awaited: str, until: datetime, is_answered: Callable[[], bool]) -> Approval | None:
    """The answer of a person who resumes the run, or None if nobody did in that time, or the answer came elsewhere.

    Only a run of a deployment can be resumed in the UI; one from a terminal does not wait. Unlike Prefect's
    `pause_flow_run` this asks again in a run that is retried, takes no missing answer for the form's defaults, outlives
    a server that is away, and does not fail a run that nobody resumes.

    Args:
        question: Markdown, shown above the form and as an artifact of the run.
        awaited: the same in a sentence, the message of the run's state.
        until: when to stop waiting. A clock that stands still while the machine sleeps would lose to the server's.
        is_answered: whether somebody has answered elsewhere.

    Raises:
        Abort: the run is another process's by now, or was ended; this one is to leave it alone.
    """
    if runtime.deployment.id is None:
        logger.warning("this run has no deployment, so nobody can approve it in the UI; `routecal promote` can")
        return None
    run = UUID(str(runtime.flow_run.id))
    create_markdown_artifact(question, key=ARTIFACT, description=awaited)
    # The server's limit is a minute later than ours: a run that it refuses has failed.
    ends = until + timedelta(minutes=1)
    pause: State[Any] = Paused(pause_expiration_time=ends, pause_key=uuid4().hex, message=awaited)
    keys = keyset_from_paused_state(pause)
    pause.state_details.run_input_keyset = cast("dict[str, str]", keys)
    is_asked = False
    with get_client(sync_client=True) as client:
        if client.set_flow_run_state(run, pause).status is not SetStateStatus.ACCEPT:
            raise Abort("the run was ended before it could ask")
        while datetime.now(UTC) < until and not is_answered():
            try:
                # After the state: a server that accepts Paused deletes what was stored under its keys before. Until the
                # form is there, it refuses to resume the run.
                if not is_asked:
                    _save_form(question, keys)
                    is_asked = True
                time.sleep(POLL_S)
                is_waiting = _is_in(client, run, pause.state_details.pause_key)
                answer = None if is_waiting else _said(client, run, keys["response"])
            except httpx.HTTPError as error:
                logger.warning("the server does not say whether somebody has answered (%s); asking again", error)
                time.sleep(POLL_S)
                continue
            if answer is not None:
                return answer
            if not is_waiting:
                raise Abort("the run goes on elsewhere, or was ended")
        return _go_on(client, run, keys["response"])


def publish_answer(what: str, answer: str) -> None:
    """Put what became of the question in its place, under the artifact's key.

    Args:
        what: the question was about.
        answer: in a sentence.
    """
    if runtime.deployment.id is not None:
        create_markdown_artifact(f"# {what} waits no more\n\n{safe(answer)}\n", key=ARTIFACT, description=safe(answer))


def _go_on(client: SyncPrefectClient, run: UUID, key: str) -> Approval | None:
    """End the pause, as a run that ends in it has failed for Prefect; the answer, if one came at the last moment."""
    for left in reversed(range(TRIES)):
        try:
            answer = _said(client, run, key)
            client.set_flow_run_state(run, Running(), force=True)
        except httpx.HTTPError:
            if not left:
                raise
            time.sleep(POLL_S)
        else:
            return answer
    raise AssertionError("unreachable")


def _save_form(question: str, keys: Keyset) -> None:
    """Store the form that the UI shows; one that an earlier try has stored stays."""
    try:
        Approval.with_initial_data(description=question).save(keys)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise


def _is_in(client: SyncPrefectClient, run: UUID, pause_key: str | None) -> bool:
    """Whether the run still waits, and for the answer to this question."""
    state = client.read_flow_run(run).state
    return state is not None and state.is_paused() and state.state_details.pause_key == pause_key


def _said(client: SyncPrefectClient, run: UUID, key: str) -> Approval | None:
    """The answer, if there is one."""
    try:
        return Approval(**json.loads(client.read_flow_run_input(run, key)))
    except PrefectHTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return None
        raise


def await_answer(entry: RegistryEntry, *, hours: float) -> Ending:
    """How the night ends: as a person says in the UI, or in a terminal, or waiting on if nobody does.

    Whoever decides first decides: an answer that comes after another decision changes nothing, and the night says so.

    Args:
        entry: that the night has written of its candidate, action `waiting`.
        hours: how long to wait.

    Raises:
        Abort: see `ask`.
    """
    until = datetime.now(UTC) + timedelta(hours=hours)
    at = f"{until:%Y-%m-%d %H:%M} UTC"
    awaited = f"entry {entry.number} waits for approval until {at}: resume this run, or `routecal promote` or `decline`"
    logger.info("%s", awaited)
    _let_models_go()
    answer = ask(question(entry, at), awaited=awaited, until=until, is_answered=lambda: is_decided(entry))
    if answer is not None:
        action: Action = "promoted" if answer.promote else "refused"
        note = f": {answer.note}" if answer.note else ""
        words = ("approved" if answer.promote else "declined") + " in the UI" + note
        if not record_answer(entry, action, words):
            logger.warning("%s, which comes after another decision and changes nothing", words)
    ending = ending_of(entry, history(Home.from_env()))
    if is_decided(entry):
        publish_answer(f"Entry {entry.number}", ending.night.reasons[0])
        return ending
    still = f"nobody has approved entry {entry.number}; `routecal promote --entry {entry.number}` still can"
    publish_answer(f"The run of entry {entry.number}", still)
    return ending.model_copy(
        update={"night": ending.night.model_copy(update={"reasons": (still, *ending.night.reasons)})}
    )


def _let_models_go() -> None:
    """Hours may pass, and others need the memory."""
    open_router.cache_clear()
    local_model.cache_clear()
    gc.collect()


def question(entry: RegistryEntry, at: str) -> str:
    """What a person reads who is asked, as Markdown.

    Args:
        entry: whose candidate waits.
        at: until when.
    """
    lines = ["# A new head waits for approval", ""]
    lines += [f"Until {at}; the head that serves goes on serving. It is entry {entry.number} of `routecal heads`."]
    lines += ["", "What is known of it:", "", *(f"- {safe(reason)}" for reason in entry.reasons), "", "To answer:", ""]
    lines += [
        "- in the UI: **Resume** this run (the button on its page), with Promote on or off",
        f"- in a terminal, with the same `ROUTECAL_HOME`: `routecal promote --entry {entry.number}` or "
        f"`routecal decline --entry {entry.number}`; the run then ends",
        "- later: if nobody answers, the candidate is kept, and the same command promotes it until another head takes "
        "over",
    ]
    return "\n".join(lines) + "\n"
