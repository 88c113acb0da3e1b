"""Good replies with one thing wrong: a part cut, retyped, renamed, repeated or dropped, or one other servers send."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from routecal.tasks.oracle.call import Call

TEXT = "It is Lake Titicaca, as far as I know."
WORD = '{"reason": "the same lake", "grade": "CORRECT", "confidence": 0.75}'
CONFIG = {"max_output_tokens": 4096, "thinking_level": None}
CHAT = Call("openai:http://127.0.0.1/v1", "gemini-3.8-flash", "Be brief.", "Which lake?", CONFIG, "v")
WRITE = Call("gemini", "gemini-3.8-flash", "Be brief.", "Which lake?", CONFIG, "v")
DECIDE = Call("gemini", "gemini-decision-1", "", "Which lake?", {"questions": {}}, "v", endpoint="decide")

Good = dict[str, Any]
Path_ = tuple[str | int, ...]


def chat(text: str) -> Good:
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 12, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 0}}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
    return {"id": "c1", "object": "chat.completion", "model": "m", "choices": choices, "usage": usage}


def generated(text: str) -> Good:
    parts = [{"text": "Hm, a lake.", "thought": True}, {"text": text}]
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 9, "totalTokenCount": 21}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r"}


def decided(_: str) -> Good:
    odds = {"CORRECT": 0.75, "INCORRECT": 0.25}
    answer = {"type": "choice", "choice": "CORRECT", "confidence": 0.75, "probabilities": odds}
    return {"answers": {"answer_a": answer}, "usage": {"total_input_tokens": 12, "total_output_tokens": 0}}


CASES = {
    "chat answer": (CHAT, chat, TEXT),
    "chat judge": (CHAT, chat, WORD),
    "gemini answer": (WRITE, generated, TEXT),
    "gemini judge": (WRITE, generated, WORD),
    "decision": (DECIDE, decided, ""),
}

# Any of these in the place of a value; none of them is one that stands in a good reply.
VALUES = [None, True, False, 0, -1, 7.5, 10**30, "", " ", "\n", "error", "abort", "length", "SAFETY", "OTHER", "\ud800",
          "tool_calls", [], {}, [None], ["x"], {"x": 1}, [[]], "</think>", "9" * 40, float("nan")]  # fmt: skip

# Those that a model may have said.
WORDS = [value for value in VALUES if isinstance(value, str) and value.strip()]

# Parts that other servers send, and where they go.
ADDED: list[tuple[Path_, Any]] = [
    (("error",), {"message": "upstream gone", "code": 502}),
    (("error",), "boom"),
    (("choices", 0, "error"), {"message": "cut off", "code": 429}),
    (("choices", 0, "message", "tool_calls"), [{"id": "1", "function": {"name": "f"}}]),
    (("choices", 0, "message", "function_call"), {"name": "f"}),
    (("choices", 0, "message", "refusal"), "I cannot."),
    (("choices", 1), {"message": {"content": "It is Lake Ladoga."}, "finish_reason": "stop"}),
    (("candidates", 1), {"content": {"parts": [{"text": "It is Lake Ladoga."}]}, "finishReason": "STOP"}),
    (("candidates", 0, "content", "parts", 2), {"functionCall": {"name": "f"}}),
    (("candidates", 0, "content", "parts", 2), {"text": 7}),
    (("promptFeedback",), {"blockReason": "SAFETY"}),
    (("prompt_feedback",), {"block_reason": "safety"}),
]
ENDS = [
    *(
        "error",
        "abort",
        "ABORT",
        "content_filter",
        "tool_calls",
        "function_call",
        "eureka",
        "stop?",
        "STOPPED",
        "OTHER",
    ),
    *("LANGUAGE", "IMAGE_SAFETY", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "FINISH_REASON_UNSPECIFIED"),
]


def places(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Every place in a JSON value but its root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield (*here, name)
        yield from places(part, (*here, name))


def at(value: Any, place: Path_) -> Any:
    for name in place:
        value = value[name]
    return value


def mutated(good: Good, rng: random.Random) -> str:
    """The body of a good reply with one thing wrong."""
    body, kind = copy.deepcopy(good), rng.choice(["value", "value", "drop", "rename", "end", "add", "repeat", "bytes"])
    place = rng.choice(list(places(body)))
    parent, name = at(body, place[:-1]), place[-1]
    match kind:
        case "value":
            parent[name] = rng.choice(VALUES)
        case "drop":
            del parent[name]
        case "rename" if isinstance(name, str):
            parent[rng.choice([name.upper(), f"_{name}", name[:-1]])] = parent.pop(name)
        case "end":
            choice = next((body[n][0] for n in ("choices", "candidates") if n in body), body)
            choice["finish_reason" if "choices" in body else "finishReason"] = rng.choice(ENDS)
        case "add":
            added, value = rng.choice([(p, v) for p, v in ADDED if p[0] in body or len(p) == 1])
            inside = at(body, added[:-1])
            inside.append(value) if isinstance(inside, list) else inside.update({str(added[-1]): value})
        case "repeat":
            around = next(body[n] for n in ("choices", "candidates", "answers") if n in body)
            around.append(copy.deepcopy(around[0])) if isinstance(around, list) else around.clear()
    text = json.dumps(body, ensure_ascii=False)
    if kind == "bytes":
        cut = rng.randrange(len(text))
        text = rng.choice(
            [text[:cut], text[cut:], f"[{text}]", f"data: {text}\n\n", f"<p>{text}</p>", f"{text}\n{text}"]
        )
    return text
