"""Asking a person: a paused run in the Prefect UI, resumed with an answer."""

import json
import logging
import time
from uuid import UUID, uuid4

import httpx
from prefect import runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Abort, PrefectHTTPStatusError
from prefect.input import Keyset, RunInput, keyset_from_paused_state
from prefect.states import Paused, Running
from pydantic import Field

logger = logging.getLogger(__name__)

# How often a run that waits looks whether it was resumed.
POLL_S = 10


class Approval(RunInput):
    """What the form asks when the run is resumed."""

    # The form begins with yes; an answer is asked for all the same.
    promote: bool = Field(
        description="put the candidate in the serving head's place", json_schema_extra={"default": True}
    )
    note: str = Field(default="", description="why; kept with the decision")


def ask(question: str, *, hours: float) -> Approval | None:
    """The answer of a person who resumes the run, or None if nobody did in that time, or nobody could.

    Only a run of a deployment can be resumed in the UI; one from a terminal does not wait. Unlike Prefect's
    `pause_flow_run` this asks again in a run that is retried, takes no missing answer for the form's defaults, outlives
    a server that is away, and does not fail a run that nobody resumes.

    Args:
        question: Markdown, shown above the form.
        hours: how long to wait.

    Raises:
        Abort: the run is another process's by now, or was ended; this one is to leave it alone.
    """
    if runtime.deployment.id is None:
        logger.warning("this run has no deployment, so nobody can approve it in the UI; `routecal promote` can")
        return None
    run, until = UUID(str(runtime.flow_run.id)), time.monotonic() + hours * 3600
    # The server's limit is a minute later than ours: whom it refuses finds the run failed.
    pause = Paused(timeout_seconds=int(hours * 3600) + 60, pause_key=uuid4().hex)
    pause.state_details.run_input_keyset = keys = keyset_from_paused_state(pause)
    is_asked = False
    with get_client(sync_client=True) as client:
        if client.set_flow_run_state(run, pause).status is not SetStateStatus.ACCEPT:
            raise Abort("the run was ended before it could ask")
        while time.monotonic() < until:
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
        logger.warning("nobody approved within %g hours; `routecal promote` still can", hours)
        # A run that ends in its pause has failed, for Prefect.
        client.set_flow_run_state(run, Running(), force=True)
    return None


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
