"""What each provider's replies say: texts, ends, blocks, tokens."""

import json
from typing import Any

import pytest

from routecal.tasks.oracle.call import UNCOUNTED, Usage
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.providers.usage import usage_of
from tests.tasks.oracle.providers.reply_bodies import CHAT, DECIDE, WRITE, candidate, chat


def test_a_reply_of_gemini() -> None:
    body = {
        "candidates": [
            {
                "content": {
                    "parts": [{"text": "Hm.", "thought": True}, {"text": "Par"}, {"text": "is"}, {"inlineData": {}}],
                    "role": "model",
                },
                "finishReason": "STOP",
            },
        ],
        "usageMetadata": {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 40,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 300,
            "totalTokenCount": 402,
        },
        "modelVersion": "gemini-3.8-flash",
        "responseId": "abc",
    }
    reply = read_response(WRITE, json.dumps(body))
    assert (reply.text, reply.finish, reply.blocked) == ("Paris", "STOP", None)
    assert reply.usage == Usage(prompt=100, cached=40, output=2, thinking=300)
    assert (reply.model_version, reply.response_id) == ("gemini-3.8-flash", "abc")


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST", "IMAGE_SAFETY"])
def test_an_answer_can_be_withheld(reason: str) -> None:
    reply = read_response(WRITE, candidate(finishReason=reason))
    assert (reply.text, reply.finish, reply.blocked) == (None, reason, reason)


def test_no_room_is_no_block() -> None:
    reply = read_response(WRITE, candidate(finishReason="MAX_TOKENS"))
    assert (reply.text, reply.finish, reply.blocked) == (None, "MAX_TOKENS", None)


def test_a_prompt_can_be_withheld() -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7}}
    reply = read_response(WRITE, json.dumps(body))
    assert (reply.text, reply.finish, reply.blocked) == (None, "BLOCKED", "PROHIBITED_CONTENT")
    assert reply.usage == Usage(7, 0, 0, 0)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (None, UNCOUNTED),
        ({}, UNCOUNTED),
        ("many", UNCOUNTED),
        ({"promptTokenCount": 9}, Usage(9, 0, 0, 0)),  # zeros are left out of the JSON
        ({"promptTokenCount": "9", "thoughtsTokenCount": 5}, Usage(9, 0, 0, 5)),
        ({"promptTokenCount": 9, "candidatesTokenCount": -1}, Usage(9, 0, None, 0)),
        ({"promptTokenCount": 9, "candidatesTokenCount": True}, Usage(9, 0, None, 0)),
        ({"thoughtsTokenCount": 5}, Usage(None, None, None, 5)),
    ],
)
def test_what_was_not_counted_is_unknown_and_never_zero(counts: object, usage: Usage) -> None:
    body = {"candidates": [{"finishReason": "MAX_TOKENS"}], **({} if counts is None else {"usageMetadata": counts})}
    assert read_response(WRITE, json.dumps(body)).usage == usage


def test_half_a_surrogate_pair_does_not_reach_a_table() -> None:
    text = read_response(
        WRITE,
        '{"candidates": [{"content": {"parts": [{"text": "a\\ud83d b\\ud83d\\ude00"}]}, "finishReason": "STOP"}]}',
    ).text
    assert text == "a\N{REPLACEMENT CHARACTER} b\N{GRINNING FACE}"


def test_decisions() -> None:
    answer = {"type": "choice", "choice": "CORRECT", "confidence": 0.9}
    body = {
        "answers": {
            "medium": {**answer, "probabilities": {"CORRECT": 0.9, "INCORRECT": 0.1}},
            "large": {**answer, "choice": None},
            "odd": {**answer, "probabilities": {"CORRECT": "high"}},
        },
        "usage": {"total_input_tokens": 1400, "total_output_tokens": 0},
    }
    reply = read_response(DECIDE, json.dumps(body))
    assert reply.choices == {"medium": ("CORRECT", {"CORRECT": 0.9, "INCORRECT": 0.1})}
    assert (reply.text, reply.finish, reply.blocked, reply.usage) == (None, "STOP", None, Usage(1400, 0, 0, 0))


def test_a_decision_can_be_withheld() -> None:
    reply = read_response(DECIDE, '{"answers": {}, "prompt_feedback": {"block_reason": "safety"}}')
    assert (reply.blocked, reply.choices) == ("SAFETY", {})


@pytest.mark.parametrize(
    ("message", "finish", "text", "ended", "blocked"),
    [
        ({"content": "Paris"}, "stop", "Paris", "STOP", None),
        ({"content": "Par"}, "length", "Par", "MAX_TOKENS", None),
        ({"content": None}, "content_filter", None, "SAFETY", "SAFETY"),
        ({"content": None, "refusal": "I can't."}, "stop", None, "STOP", "REFUSAL"),
        ({"content": [{"type": "text", "text": "Pa"}, {"type": "text", "text": "ris"}]}, "stop", "Paris", "STOP", None),
        ({"content": "Paris"}, "eos_token", "Paris", "STOP", None),
        ({"content": "Paris"}, "stop_sequence", "Paris", "STOP", None),
        ({"content": "Paris", "tool_calls": [], "reasoning_content": "Hm."}, "STOP ", "Paris", "STOP", None),
        ({"content": ""}, "stop", None, "STOP", None),
        ({"content": None}, "length", None, "MAX_TOKENS", None),
    ],
)
def test_chat_completions(
    message: dict[str, Any], finish: str | None, text: str | None, ended: str, blocked: str | None
) -> None:
    reply = read_response(CHAT, chat(message, finish, id="c1", model="llama"))
    assert (reply.text, reply.finish, reply.blocked) == (text, ended, blocked)
    assert (reply.model_version, reply.response_id, reply.usage) == ("llama", "c1", UNCOUNTED)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 7}, Usage(10, 0, 7, 0)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(10, 4, 2, 5),  # completion tokens hold the reasoning ones: 7 - 5 = 2 can be seen
        ),
        ({"prompt_tokens": 10, "completion_tokens_details": None}, Usage(10, 0, None, None)),
        ({}, UNCOUNTED),
    ],
)
def test_tokens_of_a_chat(counts: dict[str, Any], usage: Usage) -> None:
    assert read_response(CHAT, chat({"content": "x"}, usage=counts)).usage == usage


@pytest.mark.parametrize("tokens", [10**30, 2**31, -1, 1.5, True, "10" * 9, "9" * 30, "-1", "\u0661"])
def test_a_count_that_makes_no_sense_is_unknown(tokens: object) -> None:
    chat_usage = {"prompt_tokens": tokens, "completion_tokens": 7}
    assert usage_of(CHAT, json.dumps({"usage": chat_usage}))[0] == Usage(None, None, 7, 0)
    counts = {"promptTokenCount": 5, "candidatesTokenCount": tokens}
    assert usage_of(WRITE, json.dumps({"usageMetadata": counts}))[0] == Usage(5, 0, None, 0)


def test_names_can_be_stored_anywhere() -> None:
    odd = {"model": "m\0", "id": "\ud800", "modelVersion": "m\0", "responseId": "\ud800"}
    for call in (WRITE, DECIDE, CHAT):
        assert usage_of(call, json.dumps(odd))[1:] == ("m\ufffd", "\ufffd")
