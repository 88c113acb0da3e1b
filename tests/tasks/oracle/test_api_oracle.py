"""What becomes of a query: a label, or the reason why there is none."""

import json

import pytest

from tests.gemini_server.answers import Answers
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.gemini_server.wire import Request
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    REFERENCE,
    RIGHT,
    SILENT,
    WRONG,
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


def said(text: str):
    """Both models say this, and judges compare words."""

    def respond(request: Request) -> str:
        return Answers()(request) if request.schema is not None else text

    return respond


# ---- answers that no judge is asked about


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("blocked", "blocked:PROHIBITED_CONTENT"),
        ("safety", "blocked:SAFETY"),
        ("recitation", "blocked:RECITATION"),
    ],
)
def test_a_withheld_answer_is_not_attempted_and_says_why(step: str, reason: str) -> None:
    with serving({MEDIUM: Script(then=step)}, respond=by_number()) as server:
        [row] = run(server, asked(1)).rows
        assert served(server) == {MEDIUM: 1, LARGE: 1, JUDGE: 1}
        # Tokens were read, and are paid for, whatever came of it.
        paid_once(server, 3)
    assert (row["medium_grade"], row["medium_reason"], row["medium_answer"]) == ("NOT_ATTEMPTED", reason, None)
    assert (row["large_grade"], row["true_policy"]) == ("CORRECT", "Complex_Query")
    assert row["medium_cost_usd"] > 0


def test_silence_is_not_attempted() -> None:
    with serving(respond=said("")) as server:
        [row] = run(server, asked(1)).rows
        assert server.requests() == 2
    assert (row["medium_grade"], row["medium_reason"], row["true_policy"]) == (
        "NOT_ATTEMPTED",
        "empty",
        "Ambiguous_Query",
    )


def test_an_abstention_and_an_exact_answer_need_no_judge() -> None:
    answers = {MEDIUM: SILENT, LARGE: REFERENCE}
    with serving(respond=lambda request: answers[request.model]) as server:
        [row] = run(server, asked(1)).rows
        assert server.requests() == 2
    assert (row["medium_grade"], row["large_grade"], row["judge"]) == ("NOT_ATTEMPTED", "CORRECT", "abstained / exact")
    assert (row["judge_cost_usd"], row["judge_tokens_in"]) == (0.0, 0)


# ---- answers that need more room


def test_an_answer_that_is_cut_off_gets_four_times_the_room_once() -> None:
    bill = Bill(by_number())
    with serving({LARGE: Script(then="max-tokens")}, respond=bill) as server:
        [row] = run(server, asked(1)).rows
        caps = [request.cap for request in server.seen if request.model == LARGE]
        paid_once(server, 4)
    assert caps == [4096, 4 * 4096]
    assert (row["large_answer"], row["large_grade"]) == (RIGHT, "CORRECT")
    both = [call for call in recorded() if call["stage"] == "large"]
    # Thoughts that came to nothing are paid for too.
    assert max(call["tokens_thinking"] for call in both) == 4096
    assert row["large_cost_usd"] == pytest.approx(sum(call["usd"] for call in both))


def test_an_answer_that_never_ends_is_silence() -> None:
    with serving({LARGE: Script(then="max-tokens", needs_tokens=10**9)}, respond=by_number()) as server:
        [row] = run(server, asked(1)).rows
        assert served(server)[LARGE] == 2
    assert (row["large_grade"], row["large_reason"]) == ("NOT_ATTEMPTED", "truncated")


# ---- judges


@pytest.mark.parametrize(
    "words",
    [
        "I grade this CORRECT.",
        '{"reason": "", "grade": "correct", "confidence": 1}',
        '{"grade": "PERFECT"}',
        '{"grade": "CORRECT", "grade": "INCORRECT"}',
    ],
)
def test_what_a_judge_does_not_say_clearly_is_no_label(words: str) -> None:
    def respond(request: Request) -> str:
        return words if request.schema is not None else WRONG if request.model == LARGE else RIGHT

    with serving(respond=respond) as server:
        found = run(server, asked(3))
        # Each of six answers is judged again once.
        assert served(server) == {MEDIUM: 3, LARGE: 3, JUDGE: 12}
        again = run(server, asked(3), run="2")
        # What gave no vote is asked for again, and nothing else.
        assert served(server) == {MEDIUM: 3, LARGE: 3, JUDGE: 24}
        assert again.tally.renewed == 12
    assert found.rows == again.rows == []
    assert set(found.labelled.unlabelled.values()) == {f"judge error: medium, large ({JUDGE}: «{words}»)"}
    assert found.tally.unlabelled == {"judge error": 3}
    assert found.tally.done == 3


def test_a_judge_that_is_blocked_is_no_label() -> None:
    with serving({JUDGE: Script(then="blocked")}, respond=by_number()) as server:
        found = run(server, asked(2))
    said = f"judge error: medium, large ({JUDGE}: blocked:PROHIBITED_CONTENT)"
    assert set(found.labelled.unlabelled.values()) == {said}


def test_equal_answers_are_judged_by_one_call_and_paid_once_on_the_row() -> None:
    bill = Bill(said(RIGHT))
    with serving(respond=bill) as server:
        [row] = run(server, asked(1)).rows
        assert served(server)[JUDGE] == 1
    assert row["medium_cost_usd"] + row["large_cost_usd"] + row["judge_cost_usd"] == pytest.approx(bill.usd)
    assert row["judge_tokens_in"] == next(c["tokens_prompt"] for c in recorded() if c["stage"] == "judge")
    [[medium], [large]] = (json.loads(row[f"{who}_votes"]) for who in ("medium", "large"))
    assert medium["call"] == large["call"]


def test_a_cost_that_nobody_knows_is_not_nothing() -> None:
    with serving({LARGE: Script(then="no-usage")}, respond=by_number()) as server, desk_at(server, 1) as runner:
        [row] = shard(runner, asked(1), oracle_of()).rows
        assert row["large_cost_usd"] is None
        assert row["medium_cost_usd"] > 0
        # The budget takes it for the most it can have been.
        assert runner.job.budget.spent_usd > 0.03


# ---- queries


def test_a_query_without_a_reference_is_left_out_and_not_asked() -> None:
    queries = asked(3).to_pylist()
    queries[1]["ground_truth"] = None
    table = asked(3).from_pylist(queries, schema=asked(3).schema)
    with serving(respond=by_number()) as server:
        found = run(server, table)
        assert served(server)[MEDIUM] == 2
    assert found.labelled.unlabelled == {queries[1]["query_id"]: "no ground truth"}
    assert [row["query_id"] for row in found.rows] == [queries[0]["query_id"], queries[2]["query_id"]]


def test_a_request_that_is_never_taken_is_that_rows_trouble() -> None:
    with serving({MEDIUM: Script(steps=("400-argument",))}, respond=by_number()) as server:
        found = run(server, asked(4), concurrency=1)
        [(query_id, reason)] = found.labelled.unlabelled.items()
        assert query_id == asked(4)["query_id"][0].as_py()
        assert reason == "refused: Request contains an invalid argument."
        assert found.tally.unlabelled == {"refused": 1}
        assert (len(found.rows), served(server)[MEDIUM]) == (3, 4)


def test_no_queries_are_no_labels() -> None:
    with serving() as server:
        found = run(server, asked(0))
        assert (found.rows, server.requests()) == ([], 0)


def test_finished_queries_are_labelled_without_a_request() -> None:
    with serving(respond=by_number()) as server:
        first = run(server, asked(4))
        before = server.requests()
        part = run(server, asked(9), finished_only=True)
        assert server.requests() == before
    assert part.rows == first.rows
    assert list(part.labelled.unlabelled.values()) == ["not answered yet"] * 5
    assert part.reason is None


def test_a_mistake_of_ours_stops_the_shards_instead_of_spending_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("medium_grade")

    monkeypatch.setattr("routecal.tasks.oracle.api_labels.label_row", broken)
    slow = Script(latency_s=0.02)
    with serving({MEDIUM: slow, LARGE: slow, JUDGE: slow}, respond=by_number()) as server:
        found = run(server, asked(40), concurrency=4)
        assert isinstance(found.error, KeyError)
        assert served(server)[MEDIUM] < 20
