"""The judge that chooses: one request for both answers, then the cascade as for any other."""

import asyncio
import json
from typing import Any

import pytest

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Fault, FaultKind, Reply
from routecal.tasks.oracle.grading.answering import Answer
from routecal.tasks.oracle.grading.cascade import grade_pair
from routecal.tasks.oracle.grading.decision_judge import in_order
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec, Verdict
from tests.tasks.oracle.voices import REFERENCE, Queue, Reader, chose, said, texts

CORRECT, INCORRECT, NOT_ATTEMPTED = Grade
DECIDER = JudgeSpec(
    kind="decision", first=ModelSpec(model="d"), second=ModelSpec(model="m"), third=ModelSpec(model="t"), below=0.8
)
SURE = ("INCORRECT", 0.95)
MEDIUM, LARGE = Answer("It may be Oslo"), Answer("Some city")


def query(turned: bool) -> str:
    """A question whose answers are shown as they come, or turned round."""
    return next(q for q in map(str, range(99)) if (in_order(q, ["1", "2"]) == ["2", "1"]) == turned)


def graded(*answers: Answer, q: str, **replies: Any) -> tuple[tuple[Verdict, Verdict], Queue]:
    ask = Queue({name: list(said) for name, said in replies.items()})
    medium, large = answers
    pair = grade_pair(ask, query=q, accepted=[REFERENCE], medium=medium, large=large, judge=DECIDER, provider="gemini")
    return asyncio.run(pair), ask


@pytest.mark.parametrize("turned", [False, True])
def test_one_request_grades_both_and_knows_which_is_which(turned: bool) -> None:
    first, second = ("INCORRECT", 0.95), ("NOT_ATTEMPTED", 0.85)
    a, b = (second, first) if turned else (first, second)
    (medium, large), ask = graded(MEDIUM, LARGE, q=query(turned), d=[chose(answer_a=a, answer_b=b)])
    (call,) = ask.calls
    assert (call.endpoint, call.system, call.stage, call.model) == ("decide", "", "judge", "d")
    assert (medium.grade, medium.confidence, large.grade, large.confidence) == (INCORRECT, 0.95, NOT_ATTEMPTED, 0.85)
    blocks, _ = Reader.blocks(call)
    shown = [texts(blocks, "ANSWER A"), texts(blocks, "ANSWER B")]
    assert shown == ([["Some city"], ["It may be Oslo"]] if turned else [["It may be Oslo"], ["Some city"]])
    for name, question in call.config["questions"].items():
        assert (question["type"], list(question["criteria"])) == ("choice", [g.value for g in Grade])
        assert name.upper().replace("_", " ") in question["instructions"]
    assert json.loads(medium.votes[0].raw)["choice"] == "INCORRECT"
    assert medium.votes[0].key == large.votes[0].key == call.key


def test_neither_model_always_comes_first() -> None:
    turned = [in_order(f"question {i}", ["1", "2"]) == ["2", "1"] for i in range(400)]
    assert 150 < sum(turned) < 250
    assert in_order("x", ["1", "1"]) == ["1"]


def test_only_what_no_rule_decides_is_asked() -> None:
    (medium, large), ask = graded(Answer("Lima"), LARGE, q="q", d=[chose(answer_a=SURE)])
    assert (medium.judge, large.grade, len(ask.calls[0].config["questions"])) == ("exact", INCORRECT, 1)
    (medium, large), ask = graded(LARGE, LARGE, q="q", d=[chose(answer_a=SURE)])
    assert (medium, len(ask.calls[0].config["questions"])) == (large, 1)
    (medium, large), ask = graded(Answer("Lima"), Answer(None), q="q")
    assert ask.calls == []


def test_an_unsure_choice_gets_a_judge_who_writes() -> None:
    replies = {"d": [chose(answer_a=("CORRECT", 0.6), answer_b=SURE)], "m": [said("CORRECT", 0.7)]}
    (medium, large), ask = graded(MEDIUM, LARGE, q=query(False), **replies)
    assert [call.model for call in ask.calls] == ["d", "m"]
    assert (medium.grade, medium.confidence, medium.judge) == (CORRECT, 0.6, "d + m")
    assert [vote.seat for vote in medium.votes] == ["first", "second"]
    assert (large.grade, large.judge) == (INCORRECT, "d")


BLOCKED = Reply(None, "BLOCKED", "OTHER")


@pytest.mark.parametrize(
    ("unclear", "problem"),
    [
        (BLOCKED, "blocked:OTHER"),
        (chose(answer_b=SURE), "empty"),
        (chose(answer_a=("MAYBE", 0.9), answer_b=SURE), "unreadable"),
    ],
)
def test_a_missing_choice_is_asked_for_once_more(unclear: Reply, problem: str) -> None:
    again = chose(answer_a=SURE, answer_b=("CORRECT", 1.0))
    (medium, large), ask = graded(MEDIUM, LARGE, q=query(False), d=[unclear, again])
    assert [(call.sample, call.prompt) for call in ask.calls] == [(0, ask.calls[0].prompt), (1, ask.calls[0].prompt)]
    assert [(vote.grade, vote.problem) for vote in medium.votes] == [(None, problem), (INCORRECT, None)]
    # a choice that was there stays, whatever the second reply says
    assert large.grade == (CORRECT if unclear is BLOCKED else INCORRECT)


@pytest.mark.parametrize("failure", [[BLOCKED, BLOCKED], [Fault(FaultKind.ROW, 400, "no")]])
def test_who_cannot_choose_is_replaced(failure: list[Any]) -> None:
    replies = {"d": failure, "m": [said("CORRECT", 0.9), said("INCORRECT", 0.9)]}
    (medium, large), ask = graded(MEDIUM, LARGE, q=query(False), **replies)
    assert (medium.grade, large.grade) == (CORRECT, INCORRECT)
    assert [call.model for call in ask.calls] == ["d"] * len(failure) + ["m", "m"]


def test_other_faults_pass() -> None:
    with pytest.raises(Fault, match="tomorrow"):
        graded(MEDIUM, LARGE, q="q", d=[Fault(FaultKind.DAY_QUOTA, 429, "tomorrow")])
