"""Runs of a task side by side: in order, few at once, one shard written while the next is read."""

import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task

from routecal.calib.router.frozen_router import FrozenRouter
from routecal.calib.settings import Reading
from routecal.storage.artifact import read_table
from routecal.storage.folder_artifact import folder_at
from routecal.tasks import extract
from routecal.tasks.sharding import shards
from routecal.tasks.side_by_side import check_interrupted, results, tasks_at_once
from tests.tasks.made import store_queries, texts

pytestmark = pytest.mark.usefixtures("_own_results")

WITHIN_S = 60.0


class Going:
    """How many runs of a task are under way, and the most there ever were."""

    def __init__(self, together: int) -> None:
        self.now, self.most, self.begun = 0, 0, []
        self._lock, self._together = threading.Lock(), threading.Barrier(together)

    def run(self, number: int) -> int:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.begun.append(number)
        self._together.wait(WITHIN_S)
        with self._lock:
            self.now -= 1
        return number * 10


def test_results_are_in_order_and_no_more_runs_than_allowed_are_under_way() -> None:
    going = Going(2)
    run = task(going.run)

    @flow
    def work() -> list[int]:
        return results(run, [(number,) for number in range(6)], "work", at_once=2)

    assert work() == [0, 10, 20, 30, 40, 50]
    assert going.most == 2


def test_an_engine_decides_how_many_run_at_once() -> None:
    going = Going(3)
    run = task(going.run)

    @flow
    def work() -> list[int]:
        with tasks_at_once(3):
            return results(run, [(number,) for number in range(6)], "work")

    work()
    assert going.most == 3


def test_after_a_failure_nothing_is_begun_and_what_is_under_way_ends() -> None:
    ended, failed = Counter[str](), threading.Event()

    @task
    def run(number: int) -> None:
        if number == 0:
            failed.set()
            raise ConnectionError("the first one")
        assert failed.wait(WITHIN_S)
        ended["after the failure"] += 1
        if number == 1:
            raise ConnectionError("the second one")

    @flow
    def work() -> None:
        results(run, [(number,) for number in range(9)], "work", at_once=2)

    with pytest.raises(ConnectionError, match="the first one"):
        work()
    # The one beside it, and at most one that took its place before the failure was seen.
    assert 1 <= ended["after the failure"] <= 2


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_what_runs_in_threads() -> None:
    seen = Counter[str]()
    both = threading.Barrier(2)

    @task
    def run(number: int) -> None:
        if both.wait(WITHIN_S) == 0:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            while True:
                check_interrupted()
                threading.Event().wait(0.01)
        except KeyboardInterrupt:
            seen["ended"] += 1
            raise

    @flow
    def work() -> None:
        results(run, [(0,), (1,), (2,)], "work", at_once=2)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen["ended"] == 2


@pytest.fixture
def parts(router_checkpoint: Path) -> tuple[list[Any], Any]:
    """Three shards of queries, and the router."""
    return shards(store_queries(texts(30)), 10), folder_at(str(router_checkpoint), "routers")


@flow
def extracted(parts: tuple[list[Any], Any]) -> Any:
    return extract.extract_shards(parts[0], parts[1], Reading())[0]


def test_a_shard_is_written_while_the_next_is_read(parts, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write, reads, lock = FrozenRouter.read, extract.write_table, Counter[str](), threading.Lock()
    second = threading.Event()

    def counted(router: FrozenRouter, queries: list[str], **more: Any) -> Any:
        assert lock.acquire(blocking=False), "two shards are read at once"
        try:
            reads["n"] += 1
            if reads["n"] == 2:
                second.set()
            return read(router, queries, **more)
        finally:
            lock.release()

    def held(*args: Any, **more: Any) -> Any:
        assert second.wait(WITHIN_S), "the next shard waits for this one to be written"
        return write(*args, **more)

    monkeypatch.setattr(FrozenRouter, "read", counted)
    monkeypatch.setattr(extract, "write_table", held)
    features = extracted(parts)
    assert read_table(features)["query_id"].to_pylist() == [
        query_id for part in parts[0] for query_id in read_table(part)["query_id"].to_pylist()
    ]


def test_a_reading_that_is_interrupted_ends_at_its_next_batch(router_checkpoint: Path) -> None:
    batches = Counter[str]()

    def stop() -> None:
        batches["n"] += 1
        if batches["n"] == 2:
            raise KeyboardInterrupt

    router = FrozenRouter(router_checkpoint)
    router._budget.tokens = 64
    with pytest.raises(KeyboardInterrupt):
        router.read(texts(40), before_batch=stop)
    assert batches["n"] == 2
