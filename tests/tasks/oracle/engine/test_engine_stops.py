"""What ends a run before its queries are labelled, and what it has cost until then."""

import pickle

import pytest

from routecal.storage.ledger.ledger_errors import JobHeld
from routecal.tasks.oracle.engine.retry_policy import ATTEMPTS, FAILURES_IN_A_ROW
from routecal.tasks.oracle.engine.stop_reasons import NoAnswers, OracleRefused
from routecal.tasks.oracle.job_runner import JobRunner
from routecal.tasks.oracle.model_drift import ModelDrift
from routecal.tasks.oracle.rate_limit.daily_quota import DayQuotaReached
from routecal.tasks.oracle.rate_limit.project_limits import NoProgress, QuotaTooSmall
from tests.gemini_server import scripts
from tests.gemini_server.refusals import DAY, quota
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import (
    LARGE,
    MEDIUM,
    asked,
    by_number,
    desk_at,
    pace_of,
    paid_once,
    queries_of,
    recorded,
    run,
    served,
)


@pytest.fixture
def _short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal for the day asks to wait an instant, not half a minute, before the probe."""

    def sooner(*ids: str, retry_s: float, value: int):
        return quota(*ids, retry_s=0.05 if DAY in ids else retry_s, value=value)

    monkeypatch.setattr(scripts, "quota", sooner)


# ---- refusals that no other call would escape


def test_a_refused_key_costs_one_request() -> None:
    with serving(keys=frozenset({"another key"})) as server:
        found = run(server, asked(50))
        assert isinstance(found.error, OracleRefused)
        assert str(found.error).endswith("put a valid key into GEMINI_API_KEY")
        assert server.requests() == 1
    assert recorded() == []
    assert [row["usd"] for row in recorded("attempts")] == [0.0]


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("404", "check the spelling of the model gemini-4-argon"),
        ("403", "may use the API and the model gemini-4-argon"),
        ("400-region", "check that the API serves your region"),
        ("429-credits", "add credits to the account"),
        ("429-none", "leaves out the model gemini-4-argon"),
    ],
)
def test_a_model_that_is_refused_costs_one_request_to_it(step: str, says: str) -> None:
    with serving({LARGE: Script(then=step)}, respond=by_number()) as server:
        found = run(server, asked(50))
        assert isinstance(found.error, OracleRefused)
        assert says in str(found.error)
        assert served(server)[LARGE] == 1
        # What the medium model had on its way is stored.
        paid_once(server, served(server).get(MEDIUM, 0))
        if step != "404":
            return
        server.script({LARGE: Script()})
        assert len(run(server, asked(50), run="2").rows) == 50
        assert server.stats()["billed"] == server.stats()["billed_once"]


def test_a_refusal_in_the_middle_of_a_run_ends_it() -> None:
    with serving({MEDIUM: Script(steps=("ok",) * 20, then="429-month", latency_s=0.01)}, respond=by_number()) as server:
        found = run(server, asked(60), concurrency=8)
        assert isinstance(found.error, OracleRefused)
        # Those in flight beside it may be refused too, but nothing more is sent.
        assert served(server)[MEDIUM] <= 20 + 8
        assert server.stats()["billed"] == len(recorded())


# ---- quotas


@pytest.mark.usefixtures("_short_days")
def test_a_day_quota_ends_the_run_after_one_probe_and_the_next_day_goes_on() -> None:
    queries = asked(40)
    with serving({LARGE: Script(rpd=15, latency_s=0.01)}, respond=by_number()) as server:
        found = run(server, queries, concurrency=4)
        assert isinstance(found.error, DayQuotaReached)
        assert found.error.model == LARGE
        assert found.error.resume_at.tzinfo is not None
        refused = server.stats()["models"][LARGE]["429"]
        assert 2 <= refused <= 4 + 1
        done = dict(served(server))

        server.script({LARGE: Script()})
        rest = run(server, queries, run="2")
        assert len(rest.rows) == 40
        paid_once(server, server.requests() - refused)
    assert rest.tally.stages["large"] == 40 - 15
    assert rest.tally.stages["medium"] == 40 - done[MEDIUM]


def test_a_model_that_only_says_too_fast_is_not_waited_for_without_end() -> None:
    with serving({MEDIUM: Script(rpm=1, window_s=5000.0)}, respond=by_number()) as server:
        found = run(server, asked(10))
        assert isinstance(found.error, NoProgress)
        assert served(server)[MEDIUM] <= 1 + 16
        assert server.stats()["billed"] == len(recorded())


@pytest.mark.parametrize(
    ("step", "reason", "per_call"), [("400-argument", OracleRefused, 1), ("fin", NoAnswers, ATTEMPTS)]
)
def test_a_model_that_fails_for_row_after_row_ends_the_run(step: str, reason: type[Exception], per_call: int) -> None:
    with serving({LARGE: Script(then=step)}, respond=by_number()) as server:
        found = run(server, asked(100), concurrency=8, backoff_s=0.001)
        assert isinstance(found.reason, reason)
        asked_for = server.requests(LARGE)
    # Calls that were under way when it was noticed come on top.
    assert FAILURES_IN_A_ROW * per_call <= asked_for <= (FAILURES_IN_A_ROW + 8) * per_call


def test_two_desks_cannot_spend_one_budget_at_once() -> None:
    with serving(respond=by_number()) as server, desk_at(server, 1, max_usd=1.0), pytest.raises(JobHeld):
        JobRunner(pace_of(server, max_usd=1.0), lambda: [], 1)


def test_a_query_longer_than_the_quota_of_a_minute_is_left_out_and_the_others_are_not() -> None:
    long = "Which lake is number 8? " + "It lies high. " * 1500
    queries = queries_of(["Which lake is number 2?", long, "Which lake is number 3?"])
    with serving(respond=by_number()) as server:
        found = run(server, queries, tpm=4000, window_s=0.5)
        assert [row["true_policy"] for row in found.rows] == ["Standard_Query", "Complex_Query"]
        assert found.labelled is not None
        [reason] = found.labelled.unlabelled.values()
        assert reason.startswith("refused: one request to gemini-")
        assert "allows 4,000" in reason
        assert found.tally.unlabelled == {"refused": 1}
        assert served(server)[MEDIUM] == 2


def test_a_spend_limit_below_one_request_ends_the_run() -> None:
    with serving(respond=by_number()) as server:
        found = run(server, asked(5), usd_per_10min=0.001)
        assert isinstance(found.error, QuotaTooSmall)
        assert server.requests() == 0


# ---- another model than the one that was asked


def test_another_models_answer_is_stored_and_stops_the_run_until_it_is_allowed() -> None:
    queries = asked(20)
    drifted = Script(steps=("ok",) * 10, then="wrong-version", latency_s=0.02)
    with serving({MEDIUM: drifted}, respond=by_number()) as server:
        found = run(server, queries, concurrency=4)
        assert isinstance(found.error, ModelDrift)
        assert found.error.answered == "gemini-2.0-flash-lite"
        paid_once(server, server.requests())
        wrong = [c for c in recorded() if c["model_version"] == "gemini-2.0-flash-lite"]
        assert 1 <= len(wrong) <= 4

        # What is sound can be used, and nothing is asked for it.
        before = server.requests()
        part = run(server, queries, finished_only=True)
        assert set(part.labelled.unlabelled.values()) >= {"answered by another model"}
        assert all(row["medium_model_version"] == MEDIUM for row in part.rows)
        assert len(part.rows) + len(part.labelled.unlabelled) == 20
        assert part.reason is None
        assert server.requests() == before

        allowed = run(server, queries, run="2", allow_versions=("gemini-2.0-flash-lite",))
        assert len(allowed.rows) == 20
        paid_once(server, server.requests())


# ---- and every reason can cross a process boundary


def test_reasons_can_be_pickled() -> None:
    with serving({LARGE: Script(then="404")}, keys=frozenset()) as server:
        error = run(server, asked(3)).error
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
