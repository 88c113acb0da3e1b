"""Steps whose bodies another machine runs; the task with its name, cache, retries and state stays here.

An engine that takes some steps by their names, as Modal does, says so with `run_remotely`. A step that is called or
submitted meanwhile looks into its cache here, and sends its arguments there only where it finds nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# (name of the step, its arguments by name) -> its result.
Execute = Callable[[str, Mapping[str, Any]], Any]


class _Engine(NamedTuple):
    steps: Collection[str]
    execute: Execute


# Prefect copies the context of a flow into the threads that run its tasks.
_engine: ContextVar[_Engine | None] = ContextVar("engine", default=None)


@contextmanager
def run_remotely(steps: Collection[str], execute: Execute) -> Iterator[None]:
    """Have `execute` run the bodies of these steps for as long as the block runs.

    Args:
        steps: names of tasks; the others run here.
        execute: is called in the thread of the task, several at once where tasks are submitted.
    """
    token = _engine.set(_Engine(steps, execute))
    try:
        yield
    finally:
        _engine.reset(token)


def remote_body(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """`function`, or whoever runs the step of that name just then."""

    @wraps(function)
    def body(*args: P.args, **kwargs: P.kwargs) -> R:
        return _run(name, function, *args, **kwargs)

    return body


# A function of the module: what pickles a task by value then names this one, and not the variable, which cannot be.
def _run(step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    engine = _engine.get()
    if engine is None or step not in engine.steps:
        return function(*args, **kwargs)
    given = signature(function).bind(*args, **kwargs)
    given.apply_defaults()
    result: R = engine.execute(step, given.arguments)
    return result
