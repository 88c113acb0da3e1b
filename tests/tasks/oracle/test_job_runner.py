"""The engine's thread: shared by shards, stopped from outside, closed whatever happened."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routecal.storage.input_errors import InputMissing
from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import Interrupted
from routecal.tasks.oracle.grading.answering import answer_call
from routecal.tasks.oracle.job_runner import JobRunner, job_runner, runner_of
from routecal.tasks.oracle.money.pricing import Prices
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    Bill,
    asked,
    by_number,
    desk_at,
    oracle_of,
    paid_once,
    recorded,
    run,
    served,
    shard,
)

ROOT = Path(__file__).parents[4]

# The first call goes alone, and is answered; the others are not.
HANGING = Script(steps=("ok",), then="slow", slow_s=30.0)


def calls(n: int) -> list[Call]:
    """What the medium model is asked for `asked(n)`."""
    texts = asked(n)["query"].to_pylist()
    return [answer_call(t, spec=oracle_of().medium, provider="gemini", role="medium") for t in texts]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("oracle", "ledger"))]


# ---- opening


def test_a_job_is_open_once_and_found_by_its_name() -> None:
    with serving() as server, desk_at(server, 1) as runner:
        assert runner_of("job") is runner
        with pytest.raises(RuntimeError, match="open in this process already"), desk_at(server, 1):
            pass
        with desk_at(server, 1, job="other") as other:
            assert runner_of("other") is other
    with pytest.raises(KeyError):
        runner_of("job")


def test_a_desk_that_cannot_open_leaves_nothing_behind(tmp_path: Path) -> None:
    def no_key() -> list:
        raise ValueError("no key")

    with pytest.raises(ValueError, match="no key"), job_runner(Pace(job="job"), no_key, 1):
        pass
    with pytest.raises(InputMissing), job_runner(Pace(job="job", prices=str(tmp_path / "none.toml")), list, 1):
        pass
    with pytest.raises(KeyError):
        runner_of("job")
    assert all(row["closed_at"] for row in recorded("sessions"))


def test_the_share_of_a_quota_is_the_sum_of_what_is_held() -> None:
    with serving(respond=by_number()) as server, desk_at(server, 1, rpm=6000.0) as runner:
        runner.hold(0.25)
        runner.hold(0.25)
        runner.run(runner.engine.ask(runner.job, calls(1)[0]))
        assert runner.engine.sender.gates[MEDIUM].share == 0.5
        runner.hold(-0.25)
        runner.run(asyncio.sleep(0))
        assert runner.engine.sender.gates[MEDIUM].share == 0.25
        # With nothing held nobody asks; a gate has no share of nothing.
        runner.hold(-0.25)
        runner.run(asyncio.sleep(0))
        assert runner.engine.sender.gates[MEDIUM].share == 0.25


# ---- stopping


def begun(server: GeminiServer, runner: JobRunner, pool: ThreadPoolExecutor, n: int, *, served_: int = 1):
    """A shard in another thread that has some calls in flight."""
    future = pool.submit(shard, runner, asked(n), oracle_of())
    until(lambda: server.in_flight >= served_)
    return future


def test_a_stop_lets_what_is_in_flight_come_back_and_sends_nothing_more() -> None:
    slow = Script(latency_s=0.3)
    with serving({MEDIUM: slow, LARGE: slow}, respond=by_number()) as server:
        with ThreadPoolExecutor() as pool, desk_at(server, 60, concurrency=8) as runner:
            future = begun(server, runner, pool, 60, served_=8)
            sent = server.in_flight
            runner.stop(Interrupted("the test"))
            found = future.result()
            assert isinstance(found.error, Interrupted)
        assert sent <= len(recorded()) <= 16
        assert recorded("attempts") == []
        paid_once(server, len(recorded()))
        server.script({MEDIUM: Script(), LARGE: Script()})
        assert len(run(server, asked(60), run="2").rows) == 60
        assert server.stats()["billed_twice"] == 0


def test_what_does_not_come_back_in_time_is_given_up_and_accounted_for() -> None:
    with serving({MEDIUM: HANGING}, respond=by_number()) as server:
        with ThreadPoolExecutor() as pool, desk_at(server, 6, drain_s=0.1) as runner:
            future = begun(server, runner, pool, 6, served_=5)
            until(lambda: served(server).get(LARGE) == 6 and server.in_flight == 5)
            runner.stop(Interrupted("the test"))
            assert isinstance(future.result().error, Interrupted)
            spent = runner.job.budget.spent_usd
        lost = recorded("attempts")
        assert {row["message"] for row in lost} == {"given up while in flight"}
        assert {row["state"] for row in recorded()} == {"ended"}
        # What was in flight may be on the bill, and counts as spent in the next attempt too.
        assert len(lost) == server.stats()["billed"] - len(recorded()) == 5
        with Ledger.open() as ledger:
            found = ledger.spent("job")
        assert found.usd + found.maybe_usd == pytest.approx(spent)
        server.script({MEDIUM: Script()})
        assert len(run(server, asked(6), run="2").rows) == 6
        assert server.stats()["billed_twice"] == len(lost)


def test_a_desk_that_is_left_by_an_error_stops_the_shards_of_other_threads() -> None:
    slow = Script(latency_s=0.05)
    scripts = {MEDIUM: slow, LARGE: slow, JUDGE: slow}
    with serving(scripts, respond=by_number()) as server, ThreadPoolExecutor() as pool:
        try:
            with desk_at(server, 200, concurrency=4) as runner:
                future = begun(server, runner, pool, 200)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert isinstance(future.result().error, Interrupted)
        assert "ZeroDivisionError" in str(future.result().error)
        paid_once(server, len(recorded()))
        assert len(recorded()) < 100


def test_two_desks_with_one_ledger_buy_every_call_once() -> None:
    late, bill = Script(latency_s=0.05), Bill(by_number())
    with serving({MEDIUM: late, LARGE: late}, respond=bill) as server, ThreadPoolExecutor() as pool:
        queries = asked(25)
        runs = [pool.submit(run, server, queries, job=f"job {i}") for i in range(2)]
        one, other = (r.result() for r in runs)
        assert one.rows == other.rows
        paid_once(server, bill.calls)
        assert one.tally.calls + other.tally.calls == bill.calls


# ---- after a death

DIES = textwrap.dedent("""
    import os, sys
    from routecal.storage.ledger import CallStart, Ledger
    ledger = Ledger.open()
    starts = [
        CallStart(key, provider="gemini", model="gemini-3.8-flash", stage="medium", job="job", prompt_version="v",
                  tier="online", reserved_usd=0.5)
        for key in sys.argv[1:]
    ]
    ledger.write(starts=starts)
    os._exit(9)
""")


def test_calls_of_a_process_that_died_are_announced_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    keys = [call.key for call in calls(3)]
    subprocess.run([sys.executable, "-c", DIES, *keys], cwd=ROOT, check=False, env=os.environ)
    with serving(respond=by_number()) as server, caplog.at_level(logging.WARNING):
        with desk_at(server, 5) as runner:
            # Their cost is taken for the most it can have been.
            assert runner.job.budget.spent_usd == pytest.approx(1.5)
            assert shard(runner, asked(5), oracle_of()).tally.taken_over == 3
        assert caplog.messages == [
            "3 calls were in flight when an earlier process died; they are asked again, and may be billed twice"
        ]
        paid_once(server, server.requests())
        with Ledger.open() as ledger:
            assert ledger.lost("job") == 3
        caplog.clear()
        # Said once; afterwards they have ended like all the others.
        assert run(server, asked(5), run="2").tally.taken_over == 0
        assert caplog.messages == []


def test_what_a_reply_cost_comes_from_the_ledger() -> None:
    [call] = calls(1)
    with serving(respond=by_number()) as server:
        prices = []
        for name in ("1", "2"):
            with desk_at(server, 1, run=name) as runner:
                asking = runner.engine.ask(runner.job, call, on_reply=lambda _call, _reply, usd: prices.append(usd))
                reply = runner.run(asking)
                expected = Prices.load().usd(MEDIUM, reply.usage, tier="online", at=datetime.now(UTC))
    assert prices == [expected, expected]
