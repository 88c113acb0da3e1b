"""Asking a person: a paused run in the Prefect UI, resumed with an answer."""

import logging

from prefect import runtime
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from pydantic import Field

logger = logging.getLogger(__name__)


class Approval(RunInput):
    """What the form asks when the run is resumed."""

    promote: bool = Field(default=True, description="put the candidate in the serving head's place")
    note: str = Field(default="", description="why; kept with the decision")


def ask(question: str, *, hours: float) -> Approval | None:
    """The answer of a person who resumes the run, or None if nobody did in that time, or nobody could.

    Only a run of a deployment can be resumed in the UI; one from a terminal does not wait.

    Args:
        question: Markdown, shown above the form.
        hours: how long to wait.
    """
    if runtime.deployment.id is None:
        logger.warning("this run has no deployment, so nobody can approve it in the UI; `routecal promote` can")
        return None
    try:
        return pause_flow_run(Approval.with_initial_data(description=question), timeout=int(hours * 3600))
    except FlowPauseTimeout:
        logger.warning("nobody approved within %g hours; `routecal promote` still can", hours)
        return None
