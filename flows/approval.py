"""Asking a person: a paused run in the Prefect UI, resumed with an answer."""

import logging
import uuid

from prefect import runtime
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from pydantic import Field, ValidationError

from tasks.errors import OptionMissing

logger = logging.getLogger(__name__)


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
    form = Approval.with_initial_data(description=question)
    try:
        # Each time under a new key: a run that is retried after its process died while it waited would not wait again.
        return pause_flow_run(form, timeout=int(hours * 3600), key=uuid.uuid4().hex)
    except ValidationError:
        raise OptionMissing("answer whether to promote", "press Retry, and answer in the form of Resume") from None
    except FlowPauseTimeout:
        logger.warning("nobody approved within %g hours; `routecal promote` still can", hours)
        return None
