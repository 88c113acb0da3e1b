"""How far long work of a flow run is, in the Prefect UI."""

import logging
import time
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext, TaskRunContext

from routecal.tasks.markdown import safe

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 10.0


class ProgressArtifact:
    """One progress artifact, made when it has something to say and updated every few seconds. Only inside a flow run.

    Args:
        key: of the artifact; the UI shows all runs' under it.
        at_once: make it with the first update; else only for work that takes longer than `SECONDS_BETWEEN`.
    """

    def __init__(self, key: str, *, at_once: bool = False) -> None:
        self._key = key
        self._id: UUID | None = None
        self._said = float("-inf") if at_once else time.monotonic()

    def update(self, done: int, total: int, line: str = "", *, now: bool = False) -> None:
        """Say how far the work is, unless that was said a moment ago.

        Args:
            done: of `total`.
            total: how much there is to do.
            line: more about it.
            now: say it, whenever it was said last; work that was never worth an artifact is not given one.
        """
        if time.monotonic() - self._said < SECONDS_BETWEEN and not (now and self._id):
            return
        self._said = time.monotonic()
        share, words = 100.0 * done / max(total, 1), f"{done:,} of {total:,}" + (f": {safe(line)}" if line else "")
        try:
            if self._id is None:
                self._id = UUID(str(create_progress_artifact(share, key=self._key, description=words)))
            else:
                update_progress_artifact(self._id, share, description=words)
        # The server may be away for a while; the work goes on without it.
        except Exception as error:
            logger.warning("the progress artifact could not be updated: %s", error)


def in_flow_run() -> bool:
    """Whether there is a flow run that an artifact could belong to."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None
