"""Flows side by side share a quota through one Prefect global concurrency limit, which the operator edits."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.concurrency.sync import concurrency

from routecal.flows.label import label
from routecal.tasks.oracle import concurrency_quota as quotas
from routecal.tasks.oracle import labelling_run
from routecal.tasks.oracle.job_runner import JobRunner
from tests.flows.lakes import lakes_file, params_for
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.labelling import JUDGE, KEY, LARGE, MEDIUM, by_number

pytestmark = pytest.mark.usefixtures("_own_results")

N = 24


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with serving(respond=by_number()) as running:
        yield running


class Held:
    """What the runners of a process hold of their quota, as it changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: dict[str, float] = {}
        self.seen: list[dict[str, float]] = []
        self.taken: list[float] = []  # by each shard
        self._lock, hold = threading.Lock(), JobRunner.hold

        def noted(runner: JobRunner, part: float) -> None:
            with self._lock:
                self.now[runner.job.pace.job] = self.now.get(runner.job.pace.job, 0.0) + part
                self.seen.append(dict(self.now))
                if part > 0:
                    self.taken.append(part)
            hold(runner, part)

        monkeypatch.setattr(JobRunner, "hold", noted)

    def most(self) -> float:
        """The largest part of the quota that was held at any moment."""
        return max(sum(parts.values()) for parts in self.seen)


def test_two_flows_together_never_hold_more_than_the_quota(
    server: GeminiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    server.script(dict.fromkeys((MEDIUM, LARGE, JUDGE), Script(latency_s=0.02)))
    files = [lakes_file(tmp_path, n, first=50 * n) for n in (12, 13)]
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(label, params_for(f, server, shard_size=4, quota="together")) for f in files]
        assert [future.result().rows for future in done] == [12, 13]
    assert len(held.now) == 2
    assert held.most() <= 1.0
    assert all(part == 0 for part in held.now.values())


def test_a_flow_has_what_others_leave_it_and_alone_the_whole(
    server: GeminiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="left", limit=4))
    with concurrency("left", occupy=2, strict=True):
        assert label(params_for(lakes_file(tmp_path, 8), server, shard_size=2, quota="left")).rows == 8
    assert held.most() <= 0.5
    held.taken.clear()
    # Three shards of four slots: the last has two, so that none stands idle.
    assert label(params_for(lakes_file(tmp_path, 9, first=100), server, shard_size=3, quota="left")).rows == 9
    assert sorted(held.taken) == [0.25, 0.25, 0.5]


def test_a_limit_of_zero_pauses_and_a_raised_one_goes_on(
    server: GeminiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held, looked, size = Held(monkeypatch), threading.Event(), labelling_run.quota_size

    def look(name: str) -> int:
        try:
            return size(name)
        finally:
            looked.set()

    monkeypatch.setattr(labelling_run, "quota_size", look)
    monkeypatch.setattr(quotas, "PAUSE_S", 0.05)
    with get_client(sync_client=True) as client, ThreadPoolExecutor() as pool, caplog.at_level(logging.WARNING):
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="paused", limit=0))
        future = pool.submit(label, params_for(lakes_file(tmp_path, N), server, quota="paused"))
        assert looked.wait(30)
        while "the concurrency limit paused is 0: waiting until it is raised" not in caplog.text:
            assert not future.done()
            time.sleep(0.02)
        assert server.requests() == 0
        client.update_global_concurrency_limit("paused", GlobalConcurrencyLimitUpdate(limit=2))
        assert future.result().rows == N
    # It took one slot when there was none, and that is half of what there is now.
    assert held.most() == 0.5
