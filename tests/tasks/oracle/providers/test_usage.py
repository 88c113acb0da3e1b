"""Counts that no call can have led to are unknown, so that no money is made up from them."""

import json

import pytest

from routecal.tasks.oracle.call import Call, Usage
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.providers.usage import usage_of

CONFIG = {"max_output_tokens": 4096, "thinking_level": None}
CHAT = Call("openai:http://127.0.0.1/v1", "m", "", "Capital of France?", CONFIG, "v")
WRITE = Call("gemini", "m", "", "Capital of France?", CONFIG, "v")


def chat(prompt: object, completion: object) -> str:
    choices = [{"message": {"content": "Paris"}, "finish_reason": "stop"}]
    return json.dumps({"choices": choices, "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


@pytest.mark.parametrize(
    ("prompt", "completion", "usage"),
    [
        (20, 5, Usage(20, 0, 5, 0)),
        # A system prompt of the server's own, and a cap that it does not keep to.
        (9_000, 30_000, Usage(9_000, 0, 30_000, 0)),
        (0, 5, Usage(None, 0, 5, 0)),
        (20, 0, Usage(20, 0, None, None)),
        (9_000_000, 5, Usage(None, 0, 5, 0)),
        (20, 9_000_000, Usage(20, 0, None, None)),
        (-20, 5, Usage(None, None, 5, 0)),
        ("many", 5, Usage(None, None, 5, 0)),
        (20, -5, Usage(20, 0, None, None)),
        (20.0, 5, Usage(None, None, 5, 0)),
        (None, None, Usage()),
    ],
)
def test_tokens_of_a_chat_that_said_something(prompt: object, completion: object, usage: Usage) -> None:
    assert read_response(CHAT, chat(prompt, completion)).usage == usage


def test_tokens_of_gemini() -> None:
    counts = {"promptTokenCount": 0, "candidatesTokenCount": 5}
    assert usage_of(WRITE, json.dumps({"usageMetadata": counts}))[0] == Usage(None, 0, 5, 0)
    counts = {"promptTokenCount": 5, "candidatesTokenCount": 5, "thoughtsTokenCount": 9_000_000}
    assert usage_of(WRITE, json.dumps({"usageMetadata": counts}))[0] == Usage(5, 0, None, None)
    # 0 tokens of output are left out of the JSON; but this one has a text.
    candidate = {"content": {"parts": [{"text": "Paris"}]}, "finishReason": "STOP"}
    body = json.dumps({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5}})
    assert read_response(WRITE, body).usage == Usage(5, 0, None, None)
