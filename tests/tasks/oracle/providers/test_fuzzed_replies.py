"""Good replies with one thing wrong: none is graded as if nothing were, none is a traceback, none makes up money.

Mutations know the structure: they cut, retype, rename, repeat or drop one part of a good reply, or put one in that
other servers have been seen to send. What may still be read is decided here by other means than the reader's: a reply
counts as whole if the parts that make it an answer are as they were.
"""

import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from routecal.tasks.oracle.batch.job_files import Tag, Torn, read_lines
from routecal.tasks.oracle.call import Call, Fault, Reply
from routecal.tasks.oracle.grading.judge_reply import has_vote, read_reply
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.providers.replies import read_response

N = 1_000
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
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


def reading(call: Call, body: str) -> Reply | Fault:
    try:
        return read_response(call, body)
    except Fault as fault:
        return fault


def whole(call: Call, body: str, text: str) -> bool:
    """Whether a body holds all that makes it the answer `text`, looked at without the reader."""
    found = json.loads(body)
    if found.get("error") or found.get("object") == "error":
        return False
    if call is DECIDE:
        return bool(found["answers"])
    if call is CHAT:
        [choice] = found["choices"]
        message = choice["message"]
        extra = message.get("tool_calls") or message.get("function_call") or choice.get("error")
        return choice["finish_reason"] == "stop" and not extra and message["content"] in (text, *WORDS)
    [candidate] = found["candidates"]
    said = [part for part in candidate["content"]["parts"] if not part.get("thought")]
    if any("functionCall" in part for part in said):
        return False
    shown = "".join(part.get("text", "") for part in said)
    # A thought that is not marked as one cannot be told from what is said.
    return candidate["finishReason"] == "STOP" and shown in (text, f"Hm, a lake.{text}", *WORDS)


@pytest.mark.parametrize("name", CASES)
def test_a_reply_with_one_thing_wrong_is_a_known_fault_or_still_the_whole_answer(name: str) -> None:
    call, make, text = CASES[name]
    rng, prices = random.Random(name), Prices.load()
    good = make(text)
    assert read_response(call, json.dumps(good)).text == (text or None)
    ends: Counter[str] = Counter()
    for _ in range(N):
        body = mutated(good, rng)
        reply = reading(call, body)
        if isinstance(reply, Fault):
            ends[reply.kind.value] += 1
            assert reply.body == body
            assert len(str(reply)) < 600
            continue
        ends[reply.blocked or reply.finish] += 1
        check(call, reply, body, text)
        usd = prices.usd(call.model, reply.usage, tier="online", at=NOON)
        assert usd is None or 0 <= usd < 0.01, body
    # All ways out were taken, and most mutations were noticed.
    assert {"broken", "fatal", "transient"} <= set(ends)
    assert sum(n for end, n in ends.items() if end in ("broken", "fatal", "transient", "rate")) > N // 4


def check(call: Call, reply: Reply, body: str, text: str) -> None:
    """A reply that was read is whole, or is one that no grade of CORRECT can come of."""
    if reply.blocked or reply.finish == "MAX_TOKENS" or (reply.text is None and not reply.choices):
        assert not (reply.blocked and has_vote(call, reply))
        return
    assert whole(call, body, text), body
    if text == WORD:
        assert read_reply(reply) == (("CORRECT", 0.75) if reply.text == WORD else (None, None))


def test_the_lines_of_a_batch_are_read_or_known_to_be_none(tmp_path: Path) -> None:
    rng = random.Random(3)
    tag = str(Tag("a" * 64, "medium", "v"))
    bodies = [mutated(generated(TEXT), rng).replace("\n", " ") for _ in range(N)]
    lines = [f'{{"key": "{tag}", "response": {body}}}' for body in bodies]
    path = tmp_path / "results.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    seen: Counter[str] = Counter()
    for line in read_lines(path):
        if isinstance(line, Torn) or line.tag is None or line.body is None:
            seen["none"] += 1
            continue
        reply = reading(WRITE, line.body)
        if isinstance(reply, Fault):
            seen[reply.kind.value] += 1
        else:
            seen["read"] += 1
            check(WRITE, reply, line.body, TEXT)
    assert {"none", "broken", "read"} <= set(seen)


MUTANTS: list[Callable[[str], str]] = [
    lambda word: f"```json\n{word}",
    lambda word: f"{word} {word}",
    lambda word: word.replace("CORRECT", "correct"),
    lambda word: word.replace("}", ', "grade": "INCORRECT"}'),
    lambda word: f"I say {word}",
    lambda word: f"{word}\n```",
    lambda word: f"<think>{word}",
    lambda word: f"</think></think>{word}",
    lambda word: word[:-1],
    lambda word: f"[{word}]",
    lambda word: json.dumps(word),
    lambda word: word.replace('"grade"', '"verdict"'),
]


@pytest.mark.parametrize("seed", range(len(MUTANTS)))
def test_a_judge_s_word_that_is_not_plain_is_none(seed: int) -> None:
    word = MUTANTS[seed](WORD)
    for call, make in ((CHAT, chat), (WRITE, generated)):
        assert read_reply(read_response(call, json.dumps(make(word)))) == (None, None)
