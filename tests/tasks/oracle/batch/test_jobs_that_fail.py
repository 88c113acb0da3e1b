"""Batch jobs that do not come, or cannot be made: their calls go online or wait, and none is paid twice."""

import pytest

from routecal.tasks.oracle.engine.stop_reasons import OracleRefused
from routecal.tasks.oracle.model_drift import ModelDrift
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.batch.batch_runs import BATCH, batch, keys, online, states
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    asked,
    by_number,
    paid_once,
    recorded,
    run,
    served,
)

# ---- jobs that do not come


@pytest.mark.parametrize("end", ["FAILED", "EXPIRED", "CANCELLED"])
def test_a_job_without_results_goes_online(end: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving({LARGE: batch(end=end)}, respond=by_number()) as server:
        made = run(server, asked(6), **BATCH)
        assert len(made.rows) == 6
        # No row has both answers when the judge's turn comes, so the judge is asked online too.
        assert online(server) == {LARGE: 6, JUDGE: len(keys(recorded(), stage="judge"))}
        paid_once(server, len(recorded()))
    assert states() == {"SUCCEEDED": 1, end: 1}
    assert {call["tier"] for call in recorded() if call["stage"] == "large"} == {"online"}
    assert ("Batch failed without an explanation." in caplog.text) == (end == "FAILED")


def test_a_job_that_is_stuck_is_cancelled_at_the_deadline(caplog: pytest.LogCaptureFixture) -> None:
    with serving({MEDIUM: batch(end="PENDING")}, respond=by_number()) as server:
        made = run(server, asked(6), **BATCH, batch_deadline_h=0.2 / 3600)
        assert len(made.rows) == 6
        assert online(server)[MEDIUM] == 6
        assert server.stats()["models"]["cancel"] == {"200": 1}
        assert server.stats()["billed_twice"] == 0
    assert states() == {"SUCCEEDED": 1, "CANCELLED": 1}
    assert "is late, and cancelled" in caplog.text


def test_a_job_that_cannot_even_be_cancelled_counts_as_paid() -> None:
    scripts = {MEDIUM: batch(end="RUNNING"), "cancel": Script(then="503")}
    with serving(scripts, respond=by_number()) as server:
        made = run(server, asked(3), **BATCH, batch_deadline_h=0.1 / 3600)
        assert len(made.rows) == 3
    [lost] = recorded("attempts")
    [job] = [job for job in recorded("batches") if job["model"] == MEDIUM]
    assert (lost["key"], lost["outcome"], lost["usd"], job["state"]) == (
        job["name"],
        "lost",
        job["reserved_usd"],
        "LOST",
    )


def test_a_job_that_is_gone_goes_online() -> None:
    with serving({MEDIUM: batch(polls=3), "poll": Script(steps=("404",))}, respond=by_number()) as server:
        made = run(server, asked(3), **BATCH)
        assert len(made.rows) == 3
    assert states()["LOST"] == 1


@pytest.mark.parametrize("hindered", ["upload", "poll", "download", "file", "cancel"])
def test_requests_that_cost_nothing_are_made_again(hindered: str) -> None:
    with serving({hindered: Script(steps=("503", "rst", "429-bare"))}, respond=by_number()) as server:
        made = run(server, asked(4), **BATCH)
        assert len(made.rows) == 4
        assert online(server) == {}
        assert server.stats()["billed_twice"] == 0


def test_results_that_cannot_be_had_now_are_had_by_the_next_run() -> None:
    with serving({"download": Script(then="503")}, respond=by_number()) as server:
        made = run(server, asked(4), **BATCH)
        assert "could not be answered after several tries" in str(made.error)
        assert states() == {"created": 2}
        assert online(server) == {}
        server.script({"download": Script()})
        assert len(run(server, asked(4), **BATCH, run="2").rows) == 4
        assert online(server) == {}
        assert server.stats()["billed_twice"] == 0
        assert len(server.batches.jobs) == 3


# ---- jobs that cannot be made


def test_a_job_that_is_refused_for_now_is_made_later() -> None:
    with serving({LARGE: batch(creates=("429-bare", "429-bare", "503"))}, respond=by_number()) as server:
        made = run(server, asked(4), **BATCH)
        assert len(made.rows) == 4
        assert online(server) == {}
        assert [job.model for job in server.batches.jobs.values()].count(LARGE) == 1
    assert made.tally.retries == {"rate": 2, "transient": 1}
    assert states() == {"SUCCEEDED": 3, "never created": 3}


def test_a_job_that_is_always_refused_goes_online(caplog: pytest.LogCaptureFixture) -> None:
    with serving({LARGE: batch(creates=("429-bare",) * 50)}, respond=by_number()) as server:
        made = run(server, asked(4), **BATCH)
        assert len(made.rows) == 4
        assert online(server)[LARGE] == 4
        assert MEDIUM not in online(server)
        assert server.stats()["billed_twice"] == 0
    assert f"no batch job for 4 calls to {LARGE}, which go online" in caplog.text


@pytest.mark.parametrize("step", ["400-argument", "429-day"])
def test_a_model_that_takes_no_batch_jobs_goes_online_at_once(step: str) -> None:
    with serving({MEDIUM: batch(creates=(step,) * 50)}, respond=by_number()) as server:
        assert len(run(server, asked(4), **BATCH).rows) == 4
        assert served(server)[f"{MEDIUM}:batch"] == 1
        assert online(server)[MEDIUM] == 4


def test_a_refused_key_costs_one_request() -> None:
    with serving(keys=frozenset({"another key"})) as server:
        made = run(server, asked(10), **BATCH)
        assert isinstance(made.error, OracleRefused)
        assert "put a valid key into GEMINI_API_KEY" in str(made.error)
        assert server.requests() == 1
    assert recorded() == recorded("batches") == []


def test_another_model_that_answers_ends_the_run_before_it_is_judged() -> None:
    with serving({LARGE: Script(version="gemini-3.5-flash-lite")}, respond=by_number()) as server:
        made = run(server, asked(4), **BATCH)
        assert isinstance(made.error, ModelDrift)
        assert {job.model for job in server.batches.jobs.values()} == {MEDIUM, LARGE}
        assert online(server) == {}
