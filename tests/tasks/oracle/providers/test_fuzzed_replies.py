"""Good replies with one thing wrong: none is graded as if nothing were, none is a traceback, none makes up money.

Mutations know the structure: they cut, retype, rename, repeat or drop one part of a good reply, or put one in that
other servers have been seen to send. What may still be read is decided here by other means than the reader's: a reply
counts as whole if the parts that make it an answer are as they were.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routecal.tasks.oracle.batch.job_files import Tag, Torn, read_lines
from routecal.tasks.oracle.call import Call, Fault, Reply
from routecal.tasks.oracle.grading.judge_reply import has_vote, read_reply
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.providers.replies import read_response
from tests.tasks.oracle.providers.mutated_replies import (
    CASES,
    CHAT,
    DECIDE,
    TEXT,
    WORD,
    WORDS,
    WRITE,
    chat,
    generated,
    mutated,
)

N = 1_000
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


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
