"""Trouble that passes costs one more request; trouble that stays is left to the next run."""

import pytest

from routecal.tasks.oracle.call import Fault, FaultKind
from routecal.tasks.oracle.engine.retry_policy import ATTEMPTS
from routecal.tasks.oracle.engine.stop_reasons import NoCompletion, ShardIncomplete
from routecal.tasks.oracle.grading.answering import answer_call
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
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
    true_policies,
)

# ---- trouble that passes

# 429s that say when to come back say three seconds; the others are played here.
PASSING = [
    *("500", "503", "504", "408", "499", "502-html", "502-html-as-json", "503-list", "429-message"),
    *("truncated", "not-utf8", "empty", "new-enum", "fin", "rst", "cut", "slow", "drip"),
]
MAYBE_BILLED = {"truncated", "not-utf8", "empty", "new-enum", "fin", "rst", "cut", "slow", "drip"}
# A response came, but it is no answer.
BROKEN = {"empty", "new-enum"}


@pytest.mark.parametrize("step", PASSING)
def test_trouble_that_passes_costs_one_more_request(step: str) -> None:
    bill, script = Bill(by_number()), Script(steps=(step,), slow_s=20.0)
    with serving({MEDIUM: script}, respond=bill) as server:
        # Long enough for everything but what never comes.
        found = run(server, asked(1), deadline_s=0.4 if step in ("slow", "drip") else 20.0)
        assert [row["true_policy"] for row in found.rows] == ["Standard_Query"]
        assert served(server) == {MEDIUM: 2, LARGE: 1, JUDGE: 1}
    kind = FaultKind.BROKEN if step in BROKEN else FaultKind.TRANSIENT
    if step.startswith("429"):
        kind = FaultKind.RATE
    assert found.tally.retries == {kind.value: 1}
    [attempt] = recorded("attempts")
    assert (attempt["outcome"], attempt["model"]) == (kind.value, MEDIUM)
    # What may have been billed is accounted for at its worst; what surely was not, is not.
    assert (attempt["usd"] > 0) == (step in MAYBE_BILLED)
    [answer] = [call for call in recorded() if call["stage"] == "medium"]
    # A refused rate is nobody's fault and counts as no try.
    assert answer["attempts"] == (1 if kind is FaultKind.RATE else 2)


@pytest.mark.parametrize("step", ["html", "empty-body", "list"])
def test_what_is_no_completion_stops_the_run_and_costs_nothing(step: str) -> None:
    with serving({MEDIUM: Script(then=step)}, respond=by_number()) as server:
        found = run(server, asked(30))
        assert isinstance(found.error, NoCompletion)
        assert served(server)[MEDIUM] == 1
    assert [(attempt["outcome"], attempt["usd"]) for attempt in recorded("attempts")] == [("fatal", 0.0)]


def test_a_storm_of_429s_is_weathered_by_one_shared_pause() -> None:
    limited = Script(rpm=10, window_s=0.5)
    with serving({MEDIUM: limited, LARGE: limited}, respond=by_number()) as server:
        found = run(server, asked(40), concurrency=8)
        refused = server.stats()["statuses"]["429"]
        paid_once(server, server.requests() - refused)
    assert len(found.rows) == 40
    assert found.tally.retries == {"rate": refused}
    # Every window is overrun by what is on its way, and nobody knocks in the pause: fewer refusals than answers.
    assert refused < served(server)[JUDGE] + 2 * 40


def test_what_fails_for_ever_is_left_to_the_next_run() -> None:
    queries = asked(12)
    broken = Script(steps=("503",) * ATTEMPTS)
    with serving({MEDIUM: broken}, respond=by_number()) as server:
        # One row at a time, so that all the failures meet the first.
        first = run(server, queries, concurrency=1)
        assert isinstance(first.error, ShardIncomplete)
        assert first.error.n == 1
        assert "503" in str(first.error)
        assert (first.tally.done, first.reason) == (11, None)
        before = dict(served(server))
        assert before == {MEDIUM: ATTEMPTS + 11, LARGE: 12, JUDGE: before[JUDGE]}

        rest = run(server, queries, run="2")
        assert [row["true_policy"] for row in rest.rows] == true_policies(12)
        assert served(server) == {MEDIUM: before[MEDIUM] + 1, LARGE: 12, JUDGE: before[JUDGE] + 1}
        paid_once(server, server.requests() - ATTEMPTS)


def test_a_fault_does_not_leave_the_other_answer_of_its_row_asking() -> None:
    # The large model needs more room, while the row has failed by the medium one.
    scripts = {MEDIUM: Script(then="503"), LARGE: Script(then="max-tokens", latency_s=0.3)}
    with serving(scripts, respond=by_number()) as server:
        found = run(server, asked(1), backoff_s=0.001)
        asked_large = served(server)[LARGE]
        assert isinstance(found.error, ShardIncomplete)
        assert asked_large == 2
        paid_once(server, 2)


def test_a_fault_says_what_the_provider_said() -> None:
    call = answer_call("Which lake is number 6?", spec=oracle_of().medium, provider="gemini", role="medium")
    with serving({MEDIUM: Script(then="400-argument")}) as server, desk_at(server, 1) as runner:
        with pytest.raises(Fault, match="invalid argument") as refused:
            runner.run(runner.engine.ask(runner.job, call))
        assert refused.value.kind is FaultKind.ROW
        assert runner.job.reason is None
    assert [row["outcome"] for row in recorded("attempts")] == ["row"]
    assert recorded() == []
