"""Going on when the quota is back: a scheduled run of the same deployment with the same parameters."""

import logging
from datetime import datetime

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.states import Scheduled

logger = logging.getLogger(__name__)


def schedule_again(at: datetime) -> bool:
    """Schedule this flow run's deployment for `at`; False, with a warning, if the run has no deployment.

    Twice for one run and time is once: a retry of the same run does not schedule a second.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        logger.warning("this run has no deployment that could be scheduled; run it again after %s", at.isoformat())
        return False
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(
            context.flow_run.deployment_id,
            parameters=context.flow_run.parameters,
            state=Scheduled(scheduled_time=at),
            idempotency_key=f"resume-{context.flow_run.id}-{at.isoformat()}",
        )
    logger.warning("the run %s is scheduled for %s and will go on from here", run.name, at.isoformat())
    return True
