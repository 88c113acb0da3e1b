"""What is no completion at all ends the run, costs nothing and is quoted; and any JSON is read or refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.call import UNCOUNTED, Call, Fault
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.providers.usage import usage_of
from tests.tasks.oracle.providers.reply_bodies import CHAT, DECIDE, FATAL, WRITE

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
