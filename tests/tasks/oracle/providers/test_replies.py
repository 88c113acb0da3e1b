import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.call import UNCOUNTED, Call, Fault, FaultKind, Usage
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.providers.usage import usage_of

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind

WRITE = Call("gemini", "m", "", "q", {}, "v")
DECIDE = Call("gemini", "m", "", "q", {}, "v", endpoint="decide")
CHAT = Call("openai:http://127.0.0.1/v1", "m", "", "q", {}, "v")


def candidate(**fields: Any) -> str:
    return json.dumps({"candidates": [fields]})


def chat(message: dict[str, Any], finish: str | None = "stop", **fields: Any) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **fields})


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


# What is no completion at all -> what it is called.
STRANGE = {
    "": "is empty",
    " \n": "is empty",
    "[]": "a JSON list",
    '[{"candidates": []}]': "a JSON list",
    "null": "a JSON value",
    '"text"': "a JSON value",
    "{}": "JSON of another kind",
    '{"detail": "sign in"}': "JSON of another kind",
    '{"error": {}}': "JSON of another kind",
    "<html><b>Sign in</b></html>": "a web page",
    "<!doctype html": "a web page",
    'data: {"choices": [{"delta": {"content": "Par"}}]}\n\ndata: [DONE]\n': "a stream of events",
    ": keep-alive\n\ndata: {}": "a stream of events",
    '{"message": {"content": "Par"}, "done": false}\n{"done": true}\n': "a stream of JSON lines",
    "upstream connect error": "is text",
    "{'choices': []}": "is text",
    "[" * 100_000: "JSON of another kind",
}


@pytest.mark.parametrize("call", [WRITE, DECIDE, CHAT], ids=["generate", "decide", "chat"])
@pytest.mark.parametrize("body", STRANGE, ids=lambda body: body[:20])
def test_what_is_no_completion_ends_the_run_costs_nothing_and_is_quoted(call: Call, body: str) -> None:
    with pytest.raises(Fault) as raised:
        read_response(call, body)
    fault = raised.value
    assert (fault.kind, fault.maybe_billed, fault.body) == (FATAL, False, body)
    assert STRANGE[body] in fault.message
    assert " ".join(body.split())[:60] in fault.message
    assert len(str(fault)) < 400
    assert "\n" not in fault.message
    assert usage_of(call, body) == (UNCOUNTED, None, None)


def test_the_quotation_is_plain() -> None:
    with pytest.raises(Fault, match=r"«<p>\\x1b\[31m red \\x00»") as raised:
        read_response(CHAT, "<p>\x1b[31m\n\n red \0")
    assert "check the base URL" in raised.value.hint


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (CHAT, {"candidates": [{"content": {"parts": [{"text": "Paris"}]}, "finishReason": "STOP"}]}),
        (CHAT, {"choices": [{"delta": {"content": "Par"}, "finish_reason": None}], "object": "chat.completion.chunk"}),
        (CHAT, {"choices": [{"text": "Paris", "finish_reason": "stop"}], "object": "text_completion"}),
        (CHAT, {"model": "llama3", "message": {"content": "Paris"}, "done": True}),
        (WRITE, {"choices": [{"message": {"content": "Paris"}, "finish_reason": "stop"}], "usage": {}}),
        (DECIDE, {"candidates": []}),
    ],
)
def test_another_protocol_is_no_completion(call: Call, body: dict[str, Any]) -> None:
    with pytest.raises(Fault) as raised:
        read_response(call, json.dumps(body))
    assert (raised.value.kind, raised.value.maybe_billed) == (FATAL, False)


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


# Those the reader looks for.
NAMES = [
    *("candidates", "content", "parts", "text", "finishReason", "promptFeedback", "blockReason", "modelVersion"),
    *("usageMetadata", "promptTokenCount", "choices", "message", "usage", "completion_tokens", "id"),
    *("answers", "q", "choice", "probabilities"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(value=VALUES, call=st.sampled_from([WRITE, DECIDE, CHAT]))
def test_any_json_is_read_or_refused_and_nothing_else(value: object, call: Call) -> None:
    body = json.dumps(value)
    usage_of(call, body)
    try:
        reply = read_response(call, body)
    except Fault:
        return
    assert reply.text is None or isinstance(reply.text, str)
    assert reply.text != ""
