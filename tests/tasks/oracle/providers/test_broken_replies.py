"""Replies that are no answers: which fault each is, what it may have cost, and what is said."""

import json
from typing import Any

import pytest

from routecal.tasks.oracle.call import Call, Fault, FaultKind
from routecal.tasks.oracle.providers.replies import read_response
from tests.tasks.oracle.providers.reply_bodies import (
    BROKEN,
    CHAT,
    DECIDE,
    FATAL,
    RATE,
    ROW,
    TRANSIENT,
    WRITE,
    candidate,
    chat,
)

BY_HAND = "ask the model by hand"
ROOM = "--medium-thinking none"
TOOLS = "switch the tools of the server off"

# What a server sent in place of a whole answer -> kind, and clauses of what is said.
BROKEN_CHATS = {
    "error": (chat({"content": "The capital of"}, "error"), TRANSIENT, "the end 'error'"),
    "abort": (chat({"content": "The capital of"}, "abort"), TRANSIENT, "the end 'abort'"),
    "short of resources": (
        chat({"content": "The"}, "insufficient_system_resource"),
        TRANSIENT,
        "the end 'insufficient_",
    ),
    "new end": (chat({"content": "Paris"}, "sentience"), BROKEN, "the end 'sentience'"),
    "no end": (chat({"content": "Paris"}, None), BROKEN, "the reply has no end"),
    "end of another type": (chat({"content": "Paris"}, {"type": "stop"}), BROKEN, "no whole answer"),
    "tool calls": (chat({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"), BROKEN, TOOLS),
    "tool call at a good end": (chat({"content": "Paris", "tool_calls": [{"id": "1"}]}), BROKEN, TOOLS),
    "function call": (chat({"content": None, "function_call": {"name": "f"}}), BROKEN, TOOLS),
    "thoughts alone": (chat({"content": None, "reasoning_content": "Paris is"}), BROKEN, ROOM),
    "thoughts and the empty text": (chat({"content": "", "reasoning": "Paris is"}), BROKEN, ROOM),
    "thinking parts alone": (chat({"content": [{"type": "thinking", "thinking": []}]}), BROKEN, ROOM),
    "null": (chat({"content": None}), BROKEN, "holds no text"),
    "nothing": (chat({}), BROKEN, "holds no text"),
    "white space": (chat({"content": " \n\t"}), BROKEN, "white space alone"),
    "number": (chat({"content": 7}), BROKEN, "parts that cannot be read"),
    "text that is none": (chat({"content": [{"type": "text", "text": ["P"]}]}), BROKEN, "parts that cannot be read"),
    "message that is none": (
        json.dumps({"choices": [{"message": "Paris", "finish_reason": "stop"}]}),
        BROKEN,
        "no text",
    ),
    "two choices": (
        json.dumps({"choices": [{"message": {"content": "P"}, "finish_reason": "stop"}] * 2}),
        BROKEN,
        "2 answers",
    ),
    "no choices": ('{"object": "chat.completion", "choices": []}', BROKEN, "holds no answer"),
    "choices that are none": ('{"choices": null, "usage": {}}', BROKEN, "holds no answer"),
}


@pytest.mark.parametrize("name", BROKEN_CHATS)
def test_a_chat_without_a_whole_answer_is_broken(name: str) -> None:
    body, kind, clause = BROKEN_CHATS[name]
    with pytest.raises(Fault) as raised:
        read_response(CHAT, body)
    assert (raised.value.kind, raised.value.maybe_billed, raised.value.body) == (kind, True, body)
    assert clause in str(raised.value)


def parts(*parts: object, end: str = "STOP") -> str:
    return candidate(content={"parts": list(parts)}, finishReason=end)


BROKEN_CANDIDATES = {
    "no parts": (candidate(content={"role": "model"}, finishReason="STOP"), "holds no text"),
    "no content": (candidate(finishReason="STOP"), "holds no text"),
    "no end": (candidate(content={"parts": [{"text": "Paris"}]}), "the reply has no end"),
    "malformed call": (candidate(finishReason="MALFORMED_FUNCTION_CALL"), TOOLS),
    "unexpected call": (candidate(finishReason="UNEXPECTED_TOOL_CALL"), TOOLS),
    "other": (parts({"text": "Par"}, end="OTHER"), "the end 'OTHER'"),
    "unspecified": (parts({"text": "Par"}, end="FINISH_REASON_UNSPECIFIED"), "no whole answer"),
    "continuation": (parts({"text": "Par"}, end="CONTINUATION"), "the end 'CONTINUATION'"),
    "new": (parts({"text": "Par"}, end="STOP_OF_NEW_KIND"), "the end 'STOP_OF_NEW_KIND'"),
    "thoughts alone": (parts({"text": "Paris is", "thought": True}), ROOM),
    "a thought that may be none": (parts({"text": "Paris is", "thought": "yes"}), "parts that cannot be read"),
    "a call": (parts({"functionCall": {"name": "f"}}), TOOLS),
    "text beside a call": (parts({"text": "Paris"}, {"functionCall": {"name": "f"}}), TOOLS),
    "white space": (parts({"text": " \n"}), "white space alone"),
    "a number": (parts({"text": 7}), "parts that cannot be read"),
    "parts that are none": (candidate(content={"parts": "Paris"}, finishReason="STOP"), "parts that cannot be read"),
    "two candidates": (
        json.dumps({"candidates": [{"content": {"parts": [{"text": "P"}]}, "finishReason": "STOP"}] * 2}),
        "2 answers",
    ),
}


@pytest.mark.parametrize("name", BROKEN_CANDIDATES)
def test_a_candidate_without_a_whole_answer_is_broken(name: str) -> None:
    body, clause = BROKEN_CANDIDATES[name]
    with pytest.raises(Fault) as raised:
        read_response(WRITE, body)
    assert (raised.value.kind, raised.value.maybe_billed) == (BROKEN, True)
    assert clause in str(raised.value)


def test_a_model_that_says_the_empty_text_has_declined() -> None:
    assert read_response(WRITE, parts({"text": ""})).text is None
    assert read_response(CHAT, chat({"content": "", "reasoning_content": None})).text is None


@pytest.mark.parametrize(
    ("call", "body", "kind", "billed", "clause"),
    [
        (CHAT, {"error": {"message": "slow down", "code": 429}}, RATE, False, "slow down (HTTP 429)"),
        (CHAT, {"error": {"message": "no key", "code": "invalid_api_key"}}, FATAL, False, "OPENAI_API_KEY"),
        (CHAT, {"error": {"message": "upstream gone"}, "choices": [{}]}, TRANSIENT, True, "upstream gone (HTTP 502)"),
        (CHAT, {"choices": [{"error": {"message": "cut off", "code": 502}, "finish_reason": "stop",
                             "message": {"content": "Par"}}]}, TRANSIENT, True, "cut off"),
        (CHAT, {"error": "boom"}, TRANSIENT, False, "boom"),
        (CHAT, {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400}, ROW, False, "bad"),
        (WRITE, {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}, TRANSIENT, False, "busy"),
        (WRITE, {"error": {"message": "spent", "status": "RESOURCE_EXHAUSTED"}}, RATE, False, "spent"),
        (DECIDE, {"error": {"code": 401, "message": "who?"}}, FATAL, False, "GEMINI_API_KEY"),
    ],
)  # fmt: skip
def test_an_error_with_status_200_is_the_fault_it_would_have_been(
    call: Call, body: dict[str, Any], kind: FaultKind, billed: bool, clause: str
) -> None:
    with pytest.raises(Fault) as raised:
        read_response(call, json.dumps(body))
    assert (raised.value.kind, raised.value.maybe_billed) == (kind, billed)
    assert clause in str(raised.value)


def test_an_error_field_that_reports_nothing_is_no_error() -> None:
    assert read_response(CHAT, chat({"content": "Paris"}, error=None)).text == "Paris"
    assert read_response(CHAT, chat({"content": "Paris"}, error={})).text == "Paris"


def test_a_body_that_was_cut_anywhere_is_bad_luck_and_may_be_billed() -> None:
    whole = chat({"content": 'Say "[{\\" and {]'}, usage={"prompt_tokens": 5})
    assert read_response(CHAT, "\ufeff" + whole).text == 'Say "[{\\" and {]'
    for end in range(1, len(whole) - 1):
        with pytest.raises(Fault) as raised:
            read_response(CHAT, whole[:end])
        assert (raised.value.kind, raised.value.maybe_billed) == (TRANSIENT, True)


@pytest.mark.parametrize(
    "body", ['{"candidates": []}', '{"candidates": {}}', '{"candidates": [7]}', '{"promptFeedback": {}}']
)
def test_no_candidate_and_no_reason_is_no_response(body: str) -> None:
    with pytest.raises(Fault, match="holds no answer"):
        read_response(WRITE, body)
