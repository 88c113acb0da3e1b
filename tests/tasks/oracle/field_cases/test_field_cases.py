"""What servers really sent, through the real openai package and the whole engine: what is graded, paid, asked again."""

import json
import logging
import random
import sqlite3
from collections import Counter
from collections.abc import Callable

import pytest

from routecal.storage.ledger.url import locate
from routecal.tasks.oracle.engine.stop_reasons import (
    AllSilent,
    BrokenReplies,
    NoCompletion,
)
from routecal.tasks.oracle.first_replies import FIRST
from tests.gemini_server.server import GeminiServer
from tests.gemini_server.wire import Request
from tests.tasks.oracle.field_cases.own_server import BIG, ENDS, SMALL, choice, of
from tests.tasks.oracle.labelling import RIGHT, Run, recorded

# ---- replies that are no answers


@pytest.mark.parametrize("name", ENDS)
def test_what_is_no_answer_is_asked_for_again_and_its_tokens_are_counted(
    name: str, server: GeminiServer, run: Callable[..., Run]
) -> None:
    server.rewrite = of(BIG, ENDS[name], times=1)
    found = run()
    assert [(row["large_answer"], row["large_grade"]) for row in found.rows] == [(RIGHT, "CORRECT")] * 2
    assert server.requests(BIG) == 3
    [attempt] = recorded("attempts")
    # What the server counted, and not the most that it could have been.
    counted = json.loads(attempt["response"])["usage"]
    assert attempt["usd"] == pytest.approx((counted["prompt_tokens"] + 4 * counted["completion_tokens"]) / 1e6)
    assert len(recorded()) == server.stats()["billed"] - 1


def test_a_broken_reply_is_that_rows_trouble_and_the_next_run_s_first_question(
    server: GeminiServer, run: Callable[..., Run]
) -> None:
    server.rewrite = of(BIG, ENDS["thoughts alone"])
    found = run(3)
    assert set(found.labelled.unlabelled.values()) == {"broken reply: the reply holds thoughts and no answer"}
    assert (found.rows, server.requests(BIG), server.requests(SMALL)) == ([], 6, 3)
    assert found.tally.retries == {"broken": 6}
    server.rewrite = lambda request, body: body
    mended = run(3)
    assert [row["large_grade"] for row in mended.rows] == ["CORRECT"] * 3
    # Of the large model everything is asked for again, and of the others nothing.
    assert (server.requests(BIG), server.requests(SMALL)) == (9, 3)


def test_twenty_broken_calls_in_a_row_stop_the_run_with_advice(server: GeminiServer, run: Callable[..., Run]) -> None:
    server.rewrite = of(SMALL, ENDS["thoughts alone"])
    found = run(60)
    assert isinstance(found.error, BrokenReplies)
    assert str(found.error) == (
        f"20 calls to {SMALL} in a row brought a reply that is no answer (the last: the reply holds thoughts and no "
        "answer); give the models more room (--max-output-tokens) or less to think about (--medium-thinking none, "
        "--large-thinking none, --judge-thinking none), or set the reasoning parser of the server to the model's; "
        "finished answers are stored, and the same command again asks for the others only"
    )
    assert 40 <= server.requests(SMALL) <= 40 + 4


def test_the_first_twenty_answers_all_empty_stop_the_run_and_are_asked_for_again(
    server: GeminiServer, run: Callable[..., Run]
) -> None:
    server.rewrite = of(BIG, choice(content=""))
    found = run(40)
    assert isinstance(found.error, AllSilent)
    assert str(found.error).startswith(f"the first {FIRST} answers of {BIG} are all empty: ask the model by hand")
    assert "--max-output-tokens" in str(found.error)
    asked_for = server.requests(BIG)
    assert FIRST <= asked_for <= FIRST + 4
    # What they cost is not forgotten, though they are no answers any more.
    assert not [call for call in recorded() if call["model"] == BIG]
    assert len([a for a in recorded("attempts") if a["model"] == BIG and a["usd"] > 0]) == asked_for
    server.rewrite = lambda request, body: body
    assert [row["large_grade"] for row in run(40).rows] == ["CORRECT"] * 40
    assert server.requests(BIG) == asked_for + 40


def test_no_room_for_any_of_the_first_answers_names_the_option(server: GeminiServer, run: Callable[..., Run]) -> None:
    server.rewrite = of(BIG, choice(content=None, finish_reason="length"))
    found = run(40)
    assert isinstance(found.error, AllSilent)
    assert "the room ran out before a word was said: raise --max-output-tokens" in str(found.error)


def test_a_model_that_is_silent_now_and_then_is_graded_so(server: GeminiServer, run: Callable[..., Run]) -> None:
    server.rewrite = of(BIG, choice(content=""), times=3)
    found = run(25)
    assert sorted(row["large_reason"] or "" for row in found.rows) == [""] * 22 + ["empty"] * 3
    assert server.requests(BIG) == 25


@pytest.mark.parametrize("seed", range(3))
def test_among_broken_replies_no_good_one_is_paid_twice(
    seed: int, server: GeminiServer, run: Callable[..., Run]
) -> None:
    n, sent = 20, Counter[str]()

    def now_and_then(request: Request, body: bytes) -> bytes:
        # Drawn for each request by its words, in whatever order requests come.
        words = f"{seed} {request.model} {request.prompt}"
        sent[words] += 1
        rng = random.Random(f"{words} {sent[words]}")
        if rng.random() > 0.35:
            return body
        return json.dumps(rng.choice(list(ENDS.values()))(json.loads(body))).encode()

    server.rewrite = now_and_then
    first = run(n)
    assert 0 < len(first.rows) < n
    server.rewrite = lambda request, body: body
    assert len(run(n).rows) == n
    # Each request is either a response that is kept, or a broken one that is an attempt; none is kept twice.
    kept, broken = recorded(), recorded("attempts")
    assert server.requests() == len(kept) + len(broken)
    assert all(json.loads(call["response"])["choices"][0]["finish_reason"] == "stop" for call in kept)
    assert {attempt["outcome"] for attempt in broken} <= {"broken", "transient"}
    before = server.requests()
    assert len(run(n).rows) == n
    assert server.requests() == before


# ---- what 0.1 took for answers


def test_a_ledger_of_0_1_with_half_an_answer_is_mended(server: GeminiServer, run: Callable[..., Run]) -> None:
    first = run(3)
    victim = next(call for call in recorded() if call["model"] == BIG)
    half = json.dumps(ENDS["error"](json.loads(victim["response"])))
    with sqlite3.connect(str(locate().database)) as ledger:
        ledger.execute("UPDATE calls SET response = ? WHERE key = ?", (half, victim["key"]))
    ledger.close()
    before = server.requests()
    # Nothing may be asked: the row waits. Then it is asked for, alone.
    part = run(3, finished_only=True)
    assert (len(part.rows), list(part.labelled.unlabelled.values())) == (2, ["not answered yet"])
    assert server.requests() == before
    mended = run(3)
    assert (mended.rows, server.requests() - before, mended.tally.renewed) == (first.rows, 1, 1)
    [attempt] = recorded("attempts")
    assert (attempt["key"], attempt["usd"], attempt["response"]) == (victim["key"], victim["usd"], half)


# ---- no completion at all

PAGES = {
    "login page": (b"<html><body>Please sign in to the gateway</body></html>", "is a web page"),
    "event stream": (b'data: {"choices": [{"delta": {"content": "It"}}]}\n\ndata: [DONE]\n\n', "a stream of events"),
    "nothing": (b"", "is empty"),
    "list": (b"[]", "a JSON list"),
    "another protocol": (b'{"model": "m", "message": {"content": "It"}, "done": true}', "JSON of another kind"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_costs_one_request_and_nothing_else(name: str, server: GeminiServer, run: Callable[..., Run]) -> None:
    page, clause = PAGES[name]
    server.rewrite = lambda request, body: page
    found = run(50)
    assert isinstance(found.error, NoCompletion)
    assert clause in str(found.error)
    assert page.decode()[:40] in str(found.error)
    assert str(found.error).endswith("nothing was charged")
    assert server.requests() == 1
    assert [attempt["usd"] for attempt in recorded("attempts")] == [0.0]
    assert found.tally.usd == 0.0


def test_a_server_is_told_not_to_stream(server: GeminiServer, run: Callable[..., Run]) -> None:
    run(1)
    assert {request.body["stream"] for request in server.seen} == {False}


# ---- money


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -5, "completion_tokens": 1}, "many", {
    "prompt_tokens": 10**12, "completion_tokens": 10**12}, {"prompt_tokens": 0, "completion_tokens": 0}])  # fmt: skip
def test_no_money_is_made_up_from_counts_that_cannot_be(
    usage: object, server: GeminiServer, run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    server.rewrite = of(BIG, lambda body: body | {"usage": usage})
    with caplog.at_level(logging.WARNING):
        found = run(2)
    assert [row["large_cost_usd"] for row in found.rows] == [None, None]
    assert found.tally.uncounted == 2
    assert caplog.text.count(f"{BIG} counts no tokens that can be true") == 1
