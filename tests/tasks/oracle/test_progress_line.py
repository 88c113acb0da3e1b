"""The line that people watch."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from routecal.tasks.oracle.labelling_summary import progress_line
from routecal.tasks.oracle.rate_limit.limiter import RateLimiter
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import JUDGE, LARGE, MEDIUM, asked, by_number, desk_at, oracle_of, shard


def test_the_line_says_what_happened_and_what_it_cost() -> None:
    with serving(respond=by_number()) as server, desk_at(server, 6, max_usd=5.0, concurrency=8) as runner:
        assert "starting" in progress_line(runner)
        shard(runner, asked(6), oracle_of())
        said = progress_line(runner)
    assert " rows/s · 0:00 left · 429 0.0% · 0 of 24 in flight · $0.0" in said
    assert said.endswith(", cap $5.00")


def test_gates_are_looked_at_in_the_thread_they_belong_to(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: set[str] = set()
    real = RateLimiter.binding.fget

    def binding(gate: RateLimiter) -> str:
        looked.add(threading.current_thread().name)
        return real(gate)

    monkeypatch.setattr(RateLimiter, "binding", property(binding))
    late = Script(latency_s=0.05)
    with (
        serving({MEDIUM: late, LARGE: late, JUDGE: late}, respond=by_number()) as server,
        ThreadPoolExecutor() as pool,
        desk_at(server, 20, concurrency=2, rpm=2000.0) as runner,
    ):
        future = pool.submit(shard, runner, asked(20), oracle_of())
        lines = []
        while not future.done():
            lines.append(progress_line(runner))
    assert looked == {"oracle"}
    assert any("limit: concurrency of gemini-" in said for said in lines)
