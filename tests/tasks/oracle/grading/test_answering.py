"""The one repetition of an answer that was cut off, and what is kept of it."""

import asyncio

import pytest

from routecal.tasks.oracle.call import Fault, FaultKind, Reply
from routecal.tasks.oracle.grading.answering import Answer, answer_call, ask_model
from routecal.tasks.oracle.grading.judging import ModelSpec
from tests.tasks.oracle.voices import Queue

MODEL = ModelSpec(model="m", thinking_level="high", max_output_tokens=100)


def said(text: str | None, finish: str = "STOP", blocked: str | None = None, version: str = "m-1") -> Reply:
    return Reply(text, finish, blocked, version)


def answered(replies: list[Reply | Exception], model: ModelSpec = MODEL) -> tuple[Answer, Queue]:
    ask = Queue({"m": replies})
    return asyncio.run(ask_model(ask, "Where {is} it?", spec=model, provider="gemini", role="large")), ask


def test_the_query_is_the_whole_turn() -> None:
    found, ask = answered([said("Lima")])
    (call,) = ask.calls
    assert call == answer_call("Where {is} it?", spec=MODEL, provider="gemini", role="large")
    assert (call.prompt, call.stage, call.sample, call.endpoint) == ("Where {is} it?", "large", 0, "generate")
    assert call.config == {"max_output_tokens": 100, "thinking_level": "high"}
    assert found == Answer("Lima", None, False, "m", "m-1", "gemini", call.prompt_version, (call.key,))
    assert call.prompt_version.startswith("answer_system@")


@pytest.mark.parametrize(
    ("level", "then"), [("high", "low"), ("medium", "low"), ("low", "low"), ("minimal", "minimal"), (None, None)]
)
def test_what_is_cut_off_gets_more_room_once(level: str | None, then: str | None) -> None:
    model = MODEL.model_copy(update={"thinking_level": level})
    found, ask = answered([said(None, "MAX_TOKENS"), said("Lima", version="m-2")], model)
    first, second = ask.calls
    assert second.config == {"max_output_tokens": 400, "thinking_level": then}
    assert (second.prompt, second.sample, second.stage) == (first.prompt, first.sample, "large")
    assert (found.text, found.truncated, found.model_version) == ("Lima", False, "m-2")
    assert found.keys == (first.key, second.key)
    assert first.key != second.key


CUT = "MAX_TOKENS"


@pytest.mark.parametrize(
    ("replies", "text", "truncated", "blocked"),
    [
        ([said("Li", CUT), said("Lima is", CUT)], "Lima is", True, None),
        ([said("Li", CUT), said(None, CUT)], "Li", True, None),
        ([said("Li", CUT), said(" \n")], "Li", True, None),
        ([said(None, CUT), said(None, CUT)], None, True, None),
        ([said(None, CUT), said(None)], None, False, None),
        ([said("Li", CUT), said("Lima, I", "SAFETY", "SAFETY")], None, False, "SAFETY"),
        ([said("Lima, I", "SAFETY", "SAFETY")], None, False, "SAFETY"),
        ([said(None, CUT, "SPII")], None, False, "SPII"),
        ([said("  ")], None, False, None),
        ([said(None)], None, False, None),
    ],
)
def test_what_is_kept(replies: list[Reply], text: str | None, truncated: bool, blocked: str | None) -> None:
    asked = len(replies)
    found, ask = answered(list(replies))
    assert (found.text, found.truncated, found.blocked) == (text, truncated, blocked)
    assert len(found.keys) == len(ask.calls) == asked


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_is_no_answer(kind: FaultKind) -> None:
    with pytest.raises(Fault, match="no"):
        answered([Fault(kind, 400, "no")])
