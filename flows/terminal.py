"""What a terminal does to a run besides showing it: it sends signals, and to more processes than the run's own."""

import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

TERMINATED = 143


def start_server() -> None:
    """Start Prefect's temporary server, if there is to be one, where Ctrl-C does not reach it.

    A terminal sends SIGINT to every process of a command. The server would end at once, and the run, which has yet to
    store what is in flight and to say how it ended, would wait for it for minutes. It ends with the run all the same.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value() or threading.current_thread() is not threading.main_thread():
        return
    # A process inherits what its parent blocks, and the server never unblocks it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        get_client(sync_client=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_on_sigterm() -> None:
    """Let SIGTERM end the process as an exit does, with code 143: otherwise Prefect's temporary server outlives it."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, end)
