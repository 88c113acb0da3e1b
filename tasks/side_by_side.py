"""Runs of one task side by side on the flow's task runner: few at once, results in the order of the calls."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect import Task
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture

from routecal.tasks.progress import track

R = TypeVar("R")

# How many tasks the workers of an engine take at once; None without an engine.
_AT_ONCE: ContextVar[int | None] = ContextVar("at_once", default=None)
# Set once the run that a task belongs to is interrupted. Threads of Prefect's runner see it; other processes do not.
_INTERRUPTED: ContextVar[threading.Event | None] = ContextVar("interrupted", default=None)


@contextmanager
def tasks_at_once(n: int) -> Iterator[None]:
    """Have `results` keep `n` runs under way for as long as the block runs, whatever it is asked for."""
    token = _AT_ONCE.set(n)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


def n_at_once() -> int | None:
    """How many runs an engine's workers take at once; None without an engine."""
    return _AT_ONCE.get()


def check_interrupted() -> None:
    """End a task in a thread whose run was interrupted; nothing would come of what it does.

    Raises:
        KeyboardInterrupt: it was.
    """
    if (interrupted := _INTERRUPTED.get()) is not None and interrupted.is_set():
        raise KeyboardInterrupt


def results(task: Task[..., R], calls: Sequence[tuple[Any, ...]], what: str, *, at_once: int = 1) -> list[R]:
    """What a task returns for every call, in their order. After one that failed no other is begun.

    Args:
        task: with a cache policy; finished runs are reused.
        calls: arguments of each.
        what: a few words, shown beside the bar.
        at_once: runs under way without an engine; one runs in this thread, and so does all outside a flow.

    Raises:
        Exception: of the first call that failed, once the others under way have ended.
    """
    at_once = _AT_ONCE.get() or at_once
    if at_once == 1 or FlowRunContext.get() is None:
        return [task(*call) for call in track(calls, what)]
    futures: list[PrefectFuture[R]] = []
    interrupted = threading.Event()
    token = _INTERRUPTED.set(interrupted)
    try:
        for _ in track(_ended(task, calls, futures, at_once), what, total=len(calls)):
            pass
    except BaseException:
        interrupted.set()
        raise
    finally:
        _INTERRUPTED.reset(token)
    return [future.result() for future in futures]


def _ended(
    task: Task[..., R], calls: Sequence[tuple[Any, ...]], futures: list[PrefectFuture[R]], at_once: int
) -> Iterator[None]:
    """Begin the calls, at most `at_once` at a time, noting each in `futures`; yields whenever one has ended."""
    ended: SimpleQueue[PrefectFuture[R]] = SimpleQueue()
    left, going, has_failed = iter(calls), 0, False
    while True:
        while going < at_once and not has_failed and (call := next(left, None)) is not None:
            future = task.submit(*call)
            future.add_done_callback(ended.put)
            futures.append(future)
            going += 1
        if not going:
            break
        has_failed |= _has_failed(ended.get())
        going -= 1
        yield
    for future in futures:
        future.result()


def _has_failed(future: PrefectFuture[R]) -> bool:
    try:
        return isinstance(future.result(raise_on_failure=False), BaseException)
    except Exception:  # of an engine that lost the task, not of the task
        return True
