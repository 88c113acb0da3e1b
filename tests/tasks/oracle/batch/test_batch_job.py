"""Labelling by batch jobs, when all goes well and when lines of them do not come."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from routecal.calib.policy import OracleMatrix
from routecal.tasks.oracle.api_oracle import ApiJudges
from routecal.tasks.oracle.grading.judging import ModelSpec
from routecal.tasks.oracle.labelling_summary import progress_line
from routecal.tasks.oracle.rejudging import rejudge_rows
from tests.gemini_server.answers import Answers
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.gemini_server.wire import Request
from tests.tasks.oracle.batch.batch_runs import BATCH, batch, keys, online, states
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
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

# ---- when all goes well


def test_both_waves_go_by_batch_jobs_and_nothing_goes_online() -> None:
    with serving(respond=by_number()) as server:
        with desk_at(server, 12, **BATCH) as runner:
            made = shard(runner, asked(12), oracle_of())
            said = progress_line(runner)
        assert online(server) == {}
        paid_once(server, 42)
        assert {job.model for job in server.batches.jobs.values()} == {MEDIUM, LARGE, JUDGE}
        # Requests and results are deleted once they are stored.
        assert server.files.content == {}
    assert made.tally.calls == made.tally.reused == made.tally.prefetched == 42
    assert made.tally.stages == {"medium": 12, "large": 12, "judge": 18}
    assert "ledger" not in said
    assert "batch" not in said
    assert states() == {"SUCCEEDED": 3}
    calls = recorded()
    assert {call["tier"] for call in calls} == {"batch"}
    assert keys(calls, prompt_version="") == set()
    assert sum(call["usd"] for call in calls) == pytest.approx(made.tally.usd)
    assert runner.job.budget.spent_usd == pytest.approx(made.tally.usd)
    assert runner.job.budget.held_usd == 0
    # A second run finds everything.
    with serving() as server:
        assert run(server, asked(12), **BATCH, run="2").rows == made.rows
        assert server.requests() == 0


def test_labels_are_those_of_an_online_run_at_half_the_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(respond=by_number()) as server:
        batched = run(server, asked(8), **BATCH)
        monkeypatch.setenv("ROUTECAL_HOME", str(tmp_path / "another"))
        alone = run(server, asked(8))
    assert alone.tally.usd == pytest.approx(2 * batched.tally.usd)

    def without_cost(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if not name.endswith("cost_usd")}

    assert list(map(without_cost, batched.rows)) == list(map(without_cost, alone.rows))


def test_the_decisions_of_a_judge_go_online() -> None:
    known = by_number()

    def respond(request: Request) -> str:
        return Answers()(request) if request.questions else known(request)

    with serving(respond=respond) as server:
        made = run(server, asked(6), oracle=oracle_of(judge="gemini-decision-1", kind="decision"), **BATCH)
        assert len(made.rows) == 6
        assert online(server) == {}
        assert served(server)["gemini-decision-1"] == 6
        paid_once(server, 18)
    assert Counter((call["stage"], call["tier"]) for call in recorded()) == {
        ("medium", "batch"): 6,
        ("large", "batch"): 6,
        ("judge", "online"): 6,
    }


def test_requests_with_more_room_and_second_judges_go_online() -> None:
    oracle = oracle_of(second=ModelSpec(model=MEDIUM), always_second=True)
    with serving({LARGE: Script(then="max-tokens")}, respond=by_number()) as server:
        made = run(server, asked(4), oracle=oracle, **BATCH)
        assert len(made.rows) == 4
        assert server.stats()["billed_twice"] == 0
    tiers = Counter((call["stage"], call["model"], call["tier"]) for call in recorded())
    # Cut off once and asked for again; and no row of which that is true has both answers when judges are asked.
    assert tiers["large", LARGE, "batch"] == tiers["large", LARGE, "online"] == 4
    assert tiers["judge", JUDGE, "online"] == tiers["judge", MEDIUM, "online"] > 0
    assert {tier for stage, _, tier in tiers if stage == "judge"} == {"online"}


def test_answers_are_judged_again_by_a_batch_job_too() -> None:
    queries = asked(6)
    with serving(respond=by_number()) as server:
        labels = run(server, queries, **BATCH).labelled.table
        judge = oracle_of(judge="gemini-4-neon").judge
        judges = ApiJudges(kind="gemini", provider="gemini", judge=judge, prompt_versions=("v",))
        with desk_at(server, 6, job="again", **BATCH) as runner:
            again = runner.run(rejudge_rows(labels, queries, judges, OracleMatrix(), runner))
        assert again.table["medium_grade"].to_pylist() == labels["medium_grade"].to_pylist()
        assert "gemini-4-neon" not in served(server)
        assert server.stats()["billed_twice"] == 0
    assert Counter(job["model"] for job in recorded("batches") if job["job"] == "again") == {"gemini-4-neon": 1}


# ---- lines that do not come


def test_lines_with_errors_are_asked_again_online_and_no_others() -> None:
    with serving({LARGE: batch(failed_frac=0.3)}, respond=by_number()) as server:
        made = run(server, asked(20), **BATCH)
        failed = keys(recorded("attempts"))
        assert 0 < len(failed) < 20
        assert len(made.rows) == 20
        assert server.stats()["billed_twice"] == 0
        assert online(server)[LARGE] == len(failed)
        assert MEDIUM not in online(server)
    assert keys(recorded(), tier="online", stage="large") == failed
    assert {(a["outcome"], a["code"], a["usd"]) for a in recorded("attempts")} == {("transient", "503", 0.0)}
    assert made.tally.retries["transient"] == len(failed)


@pytest.mark.parametrize("script", [{"missing_frac": 0.4}, {"end": "PARTIALLY_SUCCEEDED", "missing_frac": 0.4}])
def test_lines_that_are_missing_go_online(script: dict[str, Any]) -> None:
    with serving({MEDIUM: batch(**script)}, respond=by_number()) as server:
        made = run(server, asked(20), **BATCH)
        assert len(made.rows) == 20
        n = online(server)[MEDIUM]
        assert 0 < n < 20
        assert server.stats()["billed_twice"] == 0
    assert Counter(call["tier"] for call in recorded() if call["stage"] == "medium") == {"online": n, "batch": 20 - n}
    assert states()[script.get("end", "SUCCEEDED")] >= 1


def test_a_torn_last_line_costs_that_line() -> None:
    with serving({LARGE: batch(torn=True)}, respond=by_number()) as server:
        made = run(server, asked(10), **BATCH)
        assert len(made.rows) == 10
        # What was cut off had been answered.
        assert (online(server)[LARGE], server.stats()["billed_twice"]) == (1, 1)
    [torn] = recorded("attempts")
    [job] = [job for job in recorded("batches") if job["model"] == LARGE]
    assert (torn["key"], torn["usd"]) == (job["name"], pytest.approx(job["reserved_usd"] / 10))


def test_a_response_that_is_none_is_noted_and_asked_again() -> None:
    with serving({LARGE: Script(then="empty")}, respond=by_number()) as server:
        made = run(server, asked(2), **BATCH)
        assert set(made.labelled.unlabelled.values()) == {"broken reply: the response holds no answer"}
    noted = [a for a in recorded("attempts") if a["stage"] == "large"]
    assert Counter(a["message"] for a in noted) == {"the response holds no answer": 2 + 2 * 2}
