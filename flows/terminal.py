"""Signals of a terminal: before a run begins they end the process at once, in a run Ctrl-C is an exception."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED, TERMINATED = 130, 143


def end_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process, with code 130 and one line, or with code 143.

    SIGTERM ends it as an exit does, so that Prefect stops its server. An exception in the middle of an import would
    come out of whatever was being imported, as pages; so Ctrl-C ends the process there and then, and the server, if
    one is starting, ends by itself.
    """
    signal.signal(signal.SIGTERM, _exit)
    # A command in the background of a script is started with Ctrl-C ignored, and stays so.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)


@contextmanager
def interruptible() -> Iterator[None]:
    """Make Ctrl-C a `KeyboardInterrupt` for as long as the block runs, and nothing after it.

    What is left then is to print a result and to stop the server; a half-stopped one would be left behind.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is _end
    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    # Not print: the signal may have come in the middle of one.
    os.write(2, b"routecal: interrupted before the run began; nothing was done\n")
    os._exit(INTERRUPTED)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    sys.exit(TERMINATED)
