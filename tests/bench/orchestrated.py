"""`python -m tests.bench.orchestrated FILE COMMAND …`: a `routecal` command that notes in FILE what Prefect takes.

A call of a task is Prefect's but for the body of the task, a call of a flow but for the body of the flow; import and
start of the server are Prefect's whole. The moment of the last line is noted too: what follows is the server's end. So
are the seconds of CPU of every task's bodies, by its name, in their own thread, and of all.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from routecal.flows import cli, prefect_server, start_server
from routecal.flows.prefect_settings import run_environment

spent: defaultdict[str, float] = defaultdict(float)


def timed(owner: Any, name: str, what: str) -> None:
    """Add the seconds of every call of `owner.name` to those of `what`, and count the calls."""
    original = getattr(owner, name)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent[what] += time.perf_counter() - began
            spent[f"{what}, calls"] += 1

    setattr(owner, name, call)


def by_task(owner: Any, name: str) -> None:
    """Add the seconds of CPU of every body of a task to those of tasks of its name."""
    original = getattr(owner, name)

    @wraps(original)
    def call(engine: Any, *args: Any, **kwargs: Any) -> Any:
        # Of its own thread: another task may run beside it.
        began = time.thread_time()
        try:
            return original(engine, *args, **kwargs)
        finally:
            spent[f"CPU of {engine.task.name}"] += time.thread_time() - began

    setattr(owner, name, call)


def main() -> None:
    """Run the command."""
    # Prefect reads its settings as it is imported.
    for variable, value in run_environment(verbose=False, refresh=False).items():
        os.environ.setdefault(variable, value)
    began = time.perf_counter()
    from prefect import task_engine
    from prefect.flow_engine import FlowRunEngine
    from prefect.flows import Flow
    from prefect.task_engine import SyncTaskRunEngine

    spent["import"] = time.perf_counter() - began
    timed(prefect_server, "start_server", "server")
    timed(start_server, "_wait", "server")
    timed(Flow, "__call__", "flows")
    timed(FlowRunEngine, "call_flow_fn", "flow bodies")
    timed(task_engine, "run_task_sync", "tasks")
    timed(SyncTaskRunEngine, "call_task_fn", "task bodies")
    by_task(SyncTaskRunEngine, "call_task_fn")
    notes, command = sys.argv[1], cli.main

    def noted(argv: Sequence[str]) -> int:
        code = command(argv)
        spent["CPU of all"] = time.process_time()
        Path(notes).write_text(json.dumps({**spent, "ended_at": time.time()}), encoding="utf-8")
        return code

    cli.main = noted
    del sys.argv[1]
    cli.console()


if __name__ == "__main__":
    main()
