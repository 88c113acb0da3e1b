"""Runs that are stopped while their jobs are under way, and the next ones."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from tests.gemini_server.scripts import BatchScript, Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.batch.batch_runs import BATCH, online
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    Run,
    asked,
    desk_at,
    oracle_of,
    run,
    shard,
)

STUCK = {model: Script(batch=BatchScript(polls=10**6)) for model in (MEDIUM, LARGE, JUDGE)}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def release(server: GeminiServer) -> None:
    """Have every job end, and those that are still to come."""
    server.script({model: Script() for model in STUCK})
    for job in server.batches.jobs.values():
        job.polls_left = 0


def interrupted(server: GeminiServer, reached: Callable[[], bool], n: int = 6, **pace: Any) -> Run:
    """A run that is stopped once a point is reached."""
    with ThreadPoolExecutor() as pool, desk_at(server, n, **BATCH, **pace) as runner:
        future: Future[Run] = pool.submit(shard, runner, asked(n), oracle_of())
        until(lambda: reached() or future.done())
        runner.stop(Interrupted("the test"))
        return future.result()


def goes_on(server: GeminiServer, n: int = 6, **pace: Any) -> Run:
    """The next run, which ends well and pays for nothing twice."""
    found = run(server, asked(n), run="2", **BATCH, **pace)
    assert len(found.rows) == n
    assert online(server) == {}
    assert server.stats()["billed_twice"] == 0
    assert Ledger.open().open_batches("job") == []
    return found
