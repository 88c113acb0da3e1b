"""Asking a person: a paused run in the Prefect UI, resumed with an answer."""

import logging
from uuid import UUID, uuid4

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.states import Running
from pydantic import Field, ValidationError

from tasks.errors import OptionMissing

logger = logging.getLogger(__name__)

# How often a run that waits looks whether it was resumed.
POLL_S = 10


class Approval(RunInput):
    """What the form asks when the run is resumed."""

    # The form begins with yes, but no answer is no yes: Prefect fills in defaults where nobody was asked.
    promote: bool = Field(
        description="put the candidate in the serving head's place", json_schema_extra={"default": True}
    )
    note: str = Field(default="", description="why; kept with the decision")


def ask(question: str, *, hours: float) -> Approval | None:
    """The answer of a person who resumes the run, or None if nobody did in that time, or nobody could.

    Only a run of a deployment can be resumed in the UI; one from a terminal does not wait.

    Args:
        question: Markdown, shown above the form.
        hours: how long to wait.

    Raises:
        OptionMissing: the run goes on, but nobody has answered.
    """
    if runtime.deployment.id is None:
        logger.warning("this run has no deployment, so nobody can approve it in the UI; `routecal promote` can")
        return None
    form, seconds = Approval.with_initial_data(description=question), max(1, int(hours * 3600))
    try:
        # Each time under a new key: a run that is retried after its process died while it waited would not wait again.
        return pause_flow_run(form, timeout=seconds, poll_interval=POLL_S, key=uuid4().hex)
    except ValidationError:
        raise OptionMissing("answer whether to promote", "press Retry, and answer in the form of Resume") from None
    except FlowPauseTimeout:
        logger.warning("nobody approved within %g hours; `routecal promote` still can", hours)
        _run_on()
        return None


def _run_on() -> None:
    """End the pause: a run that ends in it has failed, for Prefect."""
    run = UUID(str(runtime.flow_run.id))
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        if state is not None and state.is_paused():
            client.set_flow_run_state(run, Running(), force=True)
