"""Ctrl-C, SIGTERM and Prefect's cancel: stop issuing, store what is in flight, then end as the signal wanted."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from routecal.tasks.oracle.job_runner import JobRunner

logger = logging.getLogger(__name__)


@contextmanager
def stopping_on_signal(runner: JobRunner) -> Iterator[None]:
    """Let the first signal stop the runner, the second give up what is in flight, and the third act as it would have.

    When the block has ended, what the first signal would have done is done: Prefect's own handler of SIGTERM reports
    a cancelled run, for one. Ctrl-C ends in `Interrupted`, which the block raises by itself.

    Only a process's main thread can handle signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        said = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        if len(received) == 1:
            logger.warning("%s: storing the calls in flight, then ending; again to end at once", said)
            runner.stop(Interrupted(said))
            return
        # Now whoever sits in the way of the end, a locked ledger for one, is cut short by the next signal.
        for which, handler in before.items():
            signal.signal(which, handler)
        logger.warning("%s: giving up the calls in flight; they may be billed, and are asked again", said)
        runner.stop(Interrupted(said), within_s=0.0)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        handler = before[signal.SIGTERM]
        if signal.SIGTERM in received and callable(handler):
            logger.warning("%s", Interrupted("SIGTERM"))
            handler(signal.SIGTERM, None)
