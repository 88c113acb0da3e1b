"""Jobs under way that the next run finds: who takes them up, what they may cost, and what people see."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.labelling_summary import progress_line
from routecal.tasks.oracle.money.budget import BudgetReached
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.batch.batch_runs import BATCH, online
from tests.tasks.oracle.batch.stopped_runs import STUCK, goes_on, interrupted, release, until
from tests.tasks.oracle.labelling import (
    LARGE,
    MEDIUM,
    asked,
    by_number,
    desk_at,
    oracle_of,
    recorded,
    run,
    shard,
)

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
