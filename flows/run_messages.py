"""What a run says: its result as the state message, one sentence where it failed by a mistake, tasks by their names."""

import logging
import re
from typing import TypeVar, cast

from prefect.context import FlowRunContext
from prefect.states import Completed

from routecal.root_error import RoutecalError

R = TypeVar("R")

logger = logging.getLogger(__name__)

# How Prefect logs the end of a run: its state, and the message of that in quotes. What people read instead.
_ENDED = re.compile(r"Finished in state (\w+)\((?:(['\"])(.*)\2|type=\w+)?\)", re.DOTALL)
_WORDS = {"Completed": "done", "Cached": "done before, result reused"}


def completed(result: R, message: str, **places: str) -> R:
    """End a flow run: log where its results are, and make the message the one of its state.

    Outside of a flow run, and for whoever calls the flow, this is the result itself.

    Args:
        result: what the flow returns.
        message: the result in one line.
        places: paths by what lies there, as `report="/…/report.html"`.
    """
    for what, path in places.items():
        logger.info("%s: %s", what, path)
    if FlowRunContext.get() is None:
        return result
    return cast(R, Completed(message=message, data=result))


class PlainMessages(logging.Filter):
    """Rewrites what Prefect logs of runs.

    - An error that says what to do is logged as that sentence alone, once; any other keeps its traceback.
    - What is logged of a task run begins with its name.
    - The end of a flow run is logged as its message.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; it is changed in place."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RoutecalError):
            # The task's, the engine's and the process's own records repeat what the flow's says.
            if record.name != "prefect.flow_runs" or not str(record.msg).startswith("Encountered exception"):
                return False
            record.msg, record.args, record.exc_info, record.exc_text = str(error), (), None, None
        elif record.name == "prefect.task_runs" and (name := record.__dict__.get("task_run_name")):
            message = record.getMessage()
            ended = _ENDED.fullmatch(message)
            record.msg, record.args = "%s: %s", (name, _WORDS.get(ended[1], ended[1]) if ended else message)
        elif record.name == "prefect.flow_runs" and (ended := _ENDED.fullmatch(str(record.msg))):
            # Why a run failed is logged before.
            result = "" if ended[1] == "Failed" or not ended[3] else f": {ended[3]}"
            record.msg, record.args = "%s%s", (ended[1], result)
        return True


def install() -> None:
    """Have Prefect's loggers use `PlainMessages`; safe to repeat."""
    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine", "prefect.flow_engine"):
        log = logging.getLogger(name)
        if not any(isinstance(one, PlainMessages) for one in log.filters):
            log.addFilter(PlainMessages())


# A worker imports nothing but the flow's own module before the run begins.
install()
