"""Batch jobs outlive runs: whatever a run leaves behind, the next one takes up, and nothing is paid twice."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.batch import store_results
from routecal.tasks.oracle.batch.create_job import Maker
from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.labelling_summary import progress_line
from routecal.tasks.oracle.money.budget import BudgetReached
from routecal.tasks.oracle.providers.batch_api import BatchApi
from tests.gemini_server.scripts import BatchScript, Script
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.batch.test_batch_job import BATCH, online, states
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    Run,
    asked,
    by_number,
    desk_at,
    oracle_of,
    recorded,
    run,
    shard,
)

ROOT = Path(__file__).parents[4]

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


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: int = 0) -> Any:
    """Have a method stop for ever, at its first call or after some; yields what tells that it was reached."""
    real, calls, reached = getattr(where, name), [], []

    async def hang(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) <= after:
            return await real(*args, **kwargs)
        reached.append(args)
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(where, name, hang)
        yield lambda: bool(reached)


# ---- where a run can end


def test_a_stopped_run_leaves_its_jobs_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with serving(STUCK, respond=by_number()) as server:
        found = interrupted(server, lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3)
        assert isinstance(found.error, Interrupted)
        assert states() == {"created": 2}
        assert "2 batch jobs are under way; they go on, and the next run takes up what they bring" in caplog.text
        assert server.stats()["models"].get("cancel") is None
        release(server)
        goes_on(server)
        assert len(server.batches.jobs) == 3


@pytest.mark.parametrize(
    ("where", "name", "states_then"),
    [
        (BatchApi, "upload", {}),
        (BatchApi, "create", {"intended": 1}),
        (Maker, "created", {"intended": 1}),
        (BatchApi, "see", {"created": 2}),
        (BatchApi, "download", {"created": 2}),
        (Maker, "end", {"created": 2}),
    ],
    ids=[
        "before the intent",
        "before the job",
        "before its name is known",
        "before a look",
        "before its results",
        "last",
    ],
)
def test_the_next_run_goes_on_wherever_a_run_ends(
    where: type, name: str, states_then: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(respond=by_number()) as server:
        with hanging(monkeypatch, where, name) as reached:
            found = interrupted(server, lambda: reached() and states() == states_then)
        assert isinstance(found.error, Interrupted)
        assert states() == states_then
        jobs = len(server.batches.jobs)
        goes_on(server)
        # A job that was made is taken up, whether or not its maker was told.
        assert len(server.batches.jobs) == 3
        assert jobs == {"upload": 0, "create": 0, "created": 1}.get(name, 2)


def test_results_that_are_half_stored_are_stored_and_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_results, "CHUNK", 2)
    with serving(respond=by_number()) as server:
        with hanging(monkeypatch, store_results.ResultStore, "_store", after=3) as reached:
            first = interrupted(server, reached)
        assert 0 < len(recorded()) < 12
        second = goes_on(server)
        assert len(server.batches.jobs) == 3
    calls = recorded()
    assert first.tally.calls + second.tally.calls == len(calls)
    assert recorded("attempts") == []
    with Ledger.open() as ledger:
        spent = ledger.spent("job")
    assert (spent.usd, spent.maybe_usd) == (pytest.approx(first.tally.usd + second.tally.usd), 0.0)


@pytest.mark.parametrize("step", ["rst", "fin"])
def test_a_job_that_was_made_unheard_is_found_by_its_name(step: str) -> None:
    unheard = Script(batch=BatchScript(creates=(step,)))
    with serving({MEDIUM: unheard, LARGE: unheard}, respond=by_number()) as server:
        goes_on(server)
        assert server.statuses[f"{MEDIUM}:batch {step}"] == 1
        assert len(server.batches.jobs) == 3
    assert states() == {"SUCCEEDED": 3}


def test_a_killed_process_leaves_its_jobs_to_the_next(tmp_path: Path) -> None:
    program = """
        import sys
        from tests.tasks.oracle.labelling import asked, job_runner, oracle_of, shard, Gemini, Pace, KEY
        pace = Pace(job="job", base_url=sys.argv[1], backend="batch", poll_s=0.01)
        with job_runner(pace, lambda: [Gemini.create(key=KEY, base_url=sys.argv[1])], 6) as runner:
            shard(runner, asked(6), oracle_of())
    """
    with serving(STUCK, respond=by_number()) as server:
        command = [sys.executable, "-c", textwrap.dedent(program), server.url]
        with subprocess.Popen(command, cwd=ROOT) as process:
            until(lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3 or process.poll() is not None)
            os.kill(process.pid, signal.SIGKILL)
        assert states() == {"created": 2}
        release(server)
        goes_on(server)
        assert len(server.batches.jobs) == 3


# ---- what the next run asks for


def test_other_shards_take_up_the_same_jobs() -> None:
    with serving(STUCK, respond=by_number()) as server:
        interrupted(server, lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3)
        release(server)
        with ThreadPoolExecutor() as pool, desk_at(server, 6, run="2", **BATCH) as runner:
            parts = [pool.submit(shard, runner, asked(2, first=first), oracle_of()) for first in (0, 2, 4)]
            assert sum(len(part.result().rows) for part in parts) == 6
        assert server.stats()["billed_twice"] == 0
        assert online(server) == {}
        assert [job.model for job in server.batches.jobs.values()].count(MEDIUM) == 1


def test_equal_queries_of_two_shards_are_bought_by_one_of_them() -> None:
    with serving(respond=by_number()) as server, ThreadPoolExecutor() as pool, desk_at(server, 9, **BATCH) as runner:
        parts = [pool.submit(shard, runner, asked(6, first=first), oracle_of()) for first in (0, 3)]
        assert [len(part.result().rows) for part in parts] == [6, 6]
        assert server.stats()["billed_twice"] == 0
        assert online(server) == {}


def test_a_few_calls_are_not_worth_a_job() -> None:
    with serving(respond=by_number()) as server:
        assert len(run(server, asked(49), **BATCH).rows) == 49
        assert online(server) == {}
        made = len(server.batches.jobs)
        # One query in fifty is new.
        assert len(run(server, asked(50), run="2", **BATCH).rows) == 50
        assert len(server.batches.jobs) == made
        assert online(server)[MEDIUM] == online(server)[LARGE] == 1


def test_a_run_online_says_what_it_may_pay_twice(caplog: pytest.LogCaptureFixture) -> None:
    with serving(STUCK, respond=by_number()) as server:
        interrupted(server, lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3)
        reserved = sum(job["reserved_usd"] for job in recorded("batches"))
        caplog.clear()
        with caplog.at_level(logging.WARNING), desk_at(server, 6, run="2") as runner:
            assert runner.job.budget.spent_usd == pytest.approx(reserved)
        assert "2 batch jobs for these very rows are under way" in caplog.text


# ---- money


def worst_of_all(server: GeminiServer) -> float:
    """The most that the jobs of six queries' answers can cost."""
    interrupted(server, lambda: server.stats()["models"].get("poll", {}).get("200", 0) > 3)
    return sum(job["reserved_usd"] for job in recorded("batches"))


def test_what_open_jobs_may_cost_is_held_until_they_end() -> None:
    with serving(STUCK, respond=by_number()) as server:
        worst = worst_of_all(server)
        with desk_at(server, 6, run="2", max_usd=worst / 2, **BATCH) as runner:
            assert runner.job.budget.held_usd == pytest.approx(worst)
            assert runner.job.budget.spent_usd == 0
        release(server)
        # The cap is below what is held, but not below what it comes to.
        found = goes_on(server, max_usd=worst)
        with Ledger.open() as ledger:
            assert ledger.spent("job").usd == pytest.approx(found.tally.usd)


def test_a_cap_makes_smaller_jobs_one_after_the_other() -> None:
    with serving(respond=by_number()) as server:
        # Room for a third of the answers of the large model at a time, and for less of the rest.
        found = run(server, asked(12), max_usd=0.25 / 3, **BATCH)
        assert len(found.rows) == 12
        assert server.stats()["billed_twice"] == 0
        assert online(server) == {}
        assert len(server.batches.jobs) > 6


def test_a_cap_that_is_too_small_for_one_call_stops_the_run() -> None:
    with serving(respond=by_number()) as server:
        found = run(server, asked(3), max_usd=0.001, **BATCH)
        assert isinstance(found.error, BudgetReached)
        assert server.requests() == 0


# ---- what people see


def test_the_line_tells_of_jobs_under_way() -> None:
    with serving(STUCK, respond=by_number()) as server:
        said: list[str] = []

        def seen(runner: JobRunner) -> bool:
            said.append(progress_line(runner))
            return "batch: 2 jobs, 2 running, 0:0" in said[-1]

        with ThreadPoolExecutor() as pool, desk_at(server, 6, **BATCH) as runner:
            pool.submit(shard, runner, asked(6), oracle_of())
            until(lambda: seen(runner))
            runner.stop(Interrupted("the test"))
    assert " since the first was made" in said[-1]
