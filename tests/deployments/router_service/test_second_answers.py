"""The other model is asked after the client has its answer: as often as is configured, and within the budget."""

from typing import Any

import httpx
import pytest

from routecal.calib.errors import OutOfRange
from routecal.calib.feedback.second_answer import second_answer
from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Running, Start, until
from tests.deployments.router_service.raw_upstream import Asked, Line, answers, whole

PRICES = {"usd_per_million_input": 1e5, "usd_per_million_output": 1e5}


def chat(running: Running, query: str, **more: Any) -> httpx.Response:
    said = {"model": "auto", "messages": [{"role": "user", "content": query}]} | more
    return httpx.post(f"{running.url}/v1/chat/completions", json=said, timeout=60)


def test_both_models_answer_what_is_drawn_and_the_client_sees_one(start: Start) -> None:
    with start(second_answers={"medium": 1.0, "large": 1.0}) as running:
        for i, query in enumerate(QUERIES):
            said = chat(running, query, stream=bool(i % 2), stream_options={"include_usage": True}, temperature=0.25)
            assert said.status_code == 200
        running.wait_for(len(QUERIES), "second_answers")
        decisions = {row["decision_id"]: row for row in running.rows("decisions")}
        for row in running.rows("second_answers"):
            assert row["model"] != decisions[row["decision_id"]]["served"]
            assert (row["propensity"], row["outcome"], row["answer"]) == (1.0, "ok", "It is Baikal.")
            assert (row["tokens_input"], row["tokens_output"], row["cost_usd"]) == (7, 3, None)
        for upstream, model in ((running.medium, "flash"), (running.large, "pro")):
            assert len(upstream.asked) == len(QUERIES)
            unseen = [asked.json for asked in upstream.asked if "stream_options" not in asked.json]
            assert unseen
            assert {(one["model"], one["temperature"]) for one in unseen} == {(model, 0.25)}


def test_by_default_nothing_is_asked_twice(running: Running) -> None:
    for query in QUERIES:
        chat(running, query)
    running.answers(len(QUERIES))
    assert len(running.medium.asked) + len(running.large.asked) == len(QUERIES)
    assert running.rows("second_answers") == []


@pytest.mark.parametrize("more", [{"tools": []}, {"n": 2}, {"model": "flash"}, {"model": "large"}])
def test_what_cannot_be_graded_or_was_not_decided_is_not_asked_twice(more: dict[str, Any], start: Start) -> None:
    with start(second_answers={"medium": 1.0, "large": 1.0}) as running:
        chat(running, QUERIES[0], **more)
        running.answers(1)
        assert len(running.medium.asked) + len(running.large.asked) == 1


def test_a_budget_of_a_day_holds_over_a_restart(start: Start) -> None:
    # An answer costs one dollar.
    shares = {"medium": 1.0, "large": 1.0, "usd_per_day": 2.5, "at_once": 1}
    prices = {"medium": {"model": "flash"} | PRICES, "large": {"model": "pro"} | PRICES}

    def rows_after(n: int, up_to: int) -> int:
        """Rows once a service has answered so many queries, one after the other, and has ended."""
        with start(second_answers=shares, prices=prices) as running:
            rows = len(running.rows("second_answers"))
            for i in range(n):
                chat(running, QUERIES[i])
                running.wait_for(min(rows + i + 1, up_to), "second_answers")
        return len(running.rows("second_answers"))

    assert rows_after(2, up_to=2) == 2
    assert rows_after(4, up_to=3) == 3


def test_an_upstream_that_fails_is_a_row_and_no_more(start: Start) -> None:
    async def html(asked: Asked, line: Line) -> None:
        await line.send(whole(b"<html>busy</html>", status="503 Busy"))

    with start(second_answers={"medium": 1.0, "large": 1.0}) as running:
        query = next(query for query in QUERIES if chat(running, query).headers["x-routecal-model"] == "flash")
        running.large.behave = html
        assert chat(running, query).status_code == 200
        until(lambda: any(row["outcome"] == "failed" for row in running.rows("second_answers")))
        running.large.behave = answers
        assert chat(running, query).status_code == 200


def test_more_than_a_few_at_once_go_by(start: Start) -> None:
    async def slow(asked: Asked, line: Line) -> None:
        if asked.json.get("stream") is False:
            await line.gone()
        else:
            await answers(asked, line)

    with start(second_answers={"medium": 1.0, "large": 1.0, "at_once": 2}) as running:
        running.medium.behave = running.large.behave = slow
        for query in QUERIES:
            chat(running, query)
        running.answers(len(QUERIES))

        def unseen() -> list[Asked]:
            return [a for upstream in (running.medium, running.large) for a in upstream.asked if "stream" in a.json]

        until(lambda: len(unseen()) >= 2)
    assert len(unseen()) == 2


def test_texts_stay_out_of_a_log_of_digests(start: Start) -> None:
    with start(second_answers={"medium": 1.0, "large": 1.0}, logged="hash") as running:
        chat(running, QUERIES[0])
        assert running.wait_for(1, "second_answers")[0]["answer"] is None


def test_shares_that_are_none() -> None:
    for wrong in ({"of_escalated": 1.5, "of_kept": 0.0}, {"of_escalated": 0.0, "of_kept": -0.1}):
        with pytest.raises(OutOfRange):
            second_answer(True, draw=0.5, **wrong)
    drawn = [second_answer(False, of_escalated=1.0, of_kept=0.02, draw=i / 1000).is_asked for i in range(1000)]
    assert sum(drawn) == 20
