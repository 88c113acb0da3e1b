"""Judges whose word cannot be read, and servers that take no JSON schema."""

from collections.abc import Callable
from typing import Any

import pytest

from routecal.tasks.oracle.engine.stop_reasons import (
    JudgeUnreadable,
    OracleRefused,
)
from routecal.tasks.oracle.first_replies import FIRST
from tests.gemini_server.refusals import REFUSALS, Refusal
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.tasks.oracle.field_cases.own_server import BIG, JUDGE, SMALL, choice, of
from tests.tasks.oracle.labelling import Run, recorded

# ---- judges


@pytest.mark.parametrize("before", ["```json\n{}\n```", "<think>Compare.</think>\n{}", "Compare.</think>```\n{}\n```"])
def test_a_judge_may_think_aloud_and_fence_its_word(before: str, server: GeminiServer, run: Callable[..., Run]) -> None:
    def wrapped(body: dict[str, Any]) -> dict[str, Any]:
        message = body["choices"][0]["message"]
        message["content"] = before.replace("{}", message["content"])
        return body

    server.rewrite = of(JUDGE, wrapped)
    found = run(2)
    assert [(row["medium_grade"], row["large_grade"]) for row in found.rows] == [("INCORRECT", "CORRECT")] * 2
    assert server.requests(JUDGE) == len([call for call in recorded() if call["model"] == JUDGE])


def test_a_judge_that_cannot_be_read_stops_the_run_and_is_asked_anew_once_mended(
    server: GeminiServer, run: Callable[..., Run]
) -> None:
    server.rewrite = of(JUDGE, choice(content="I find it \x1b[31mCORRECT."))
    found = run(60)
    assert isinstance(found.error, JudgeUnreadable)
    assert f"none of the first {FIRST} replies of the judge {JUDGE} can be read as a grade" in str(found.error)
    assert r"«I find it \x1b[31mCORRECT.»" in str(found.error)
    unread = server.requests(JUDGE)
    # Four rows at once, and two answers each: what was under way comes on top.
    assert FIRST <= unread <= FIRST + 8
    answers = server.requests(SMALL)
    server.rewrite = lambda request, body: body
    mended = run(60)
    assert len(mended.rows) == 60
    # Each answer is asked for once, ever; and what the judge says now is bought once, too.
    assert (server.requests(SMALL), server.requests(BIG)) == (60, 60)
    assert answers < 60
    assert mended.tally.renewed == len([a for a in recorded("attempts") if a["model"] == JUDGE]) <= unread
    again = server.requests()
    assert run(60).rows == mended.rows
    assert server.requests() == again


def test_of_few_rows_the_judge_s_words_are_told(server: GeminiServer, run: Callable[..., Run]) -> None:
    server.rewrite = of(JUDGE, choice(content="Well, well."))
    found = run(2)
    assert set(found.labelled.unlabelled.values()) == {f"judge error: medium, large ({JUDGE}: «Well, well.»)"}


def test_a_second_opinion_that_could_be_read_is_not_bought_again(server: GeminiServer, run: Callable[..., Run]) -> None:
    server.rewrite = of(JUDGE, choice(content="Well, well."), times=2)
    first, asked_for = run(2), server.requests()
    assert len(first.rows) == 2
    assert run(2).rows == first.rows
    assert server.requests() == asked_for


# ---- servers without a JSON schema


@pytest.mark.parametrize(
    "message",
    [
        "response_format type json_schema is unavailable now",
        "'response_format.type' must be one of 'text', 'json_object'",
        "Failed to initialize samplers: failed to parse grammar",
        "Extra inputs are not permitted: body -> response_format",
    ],
)
def test_a_server_without_json_schema_is_told_by_which_option_to_do_without(
    message: str, server: GeminiServer, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REFUSALS, "no-schema", lambda: Refusal(400, {"error": {"message": message, "code": 400}}))
    server.script({JUDGE: Script(then="no-schema")})
    found = run(2)
    assert isinstance(found.error, OracleRefused)
    assert message in str(found.error)
    assert "--judge-json object, or --judge-json prompt" in str(found.error)
    assert server.requests(JUDGE) == 1
    answers = server.requests(SMALL), server.requests(BIG)
    server.script({JUDGE: Script()})
    for form, sent in (("object", {"type": "json_object"}), ("prompt", None)):
        assert len(run(2, form=form).rows) == 2
        assert server.seen[-1].body.get("response_format") == sent
    # No answer is asked for again for the sake of another form.
    assert (server.requests(SMALL), server.requests(BIG)) == (2, 2)
    assert max(answers) <= 2


def test_a_refusal_without_a_reason_is_quoted_however_few_the_rows(
    server: GeminiServer, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REFUSALS, "odd", lambda: Refusal(400, {"error": {"message": "computer says no"}}))
    server.script({JUDGE: Script(then="odd")})
    found = run(2)
    assert set(found.labelled.unlabelled.values()) == {
        f"judge error: medium, large ({JUDGE}: refused: computer says no)"
    }
    many = run(40)
    assert "computer says no; so it was for 20 requests in a row; if the server knows no JSON schema" in str(many.error)
