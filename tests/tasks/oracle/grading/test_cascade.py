"""Rules, votes and verdicts, with judges that say what the test has them say."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Call, Fault, FaultKind, Reply
from routecal.tasks.oracle.grading.answering import ABSTENTION, Answer
from routecal.tasks.oracle.grading.cascade import grade_pair, prompt_versions, rule, seats, verdict_of
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec, Verdict, Vote
from tests.tasks.oracle.voices import QUESTION, REFERENCE, Queue, said

CORRECT, INCORRECT, NOT_ATTEMPTED = Grade
ONE, TWO, THREE = (ModelSpec(model=name) for name in ("one", "two", "three"))
ALONE = JudgeSpec(first=ONE)
CUT = JudgeSpec(first=ONE, second=TWO, third=THREE, below=0.8)
PAIR = JudgeSpec(first=ONE, second=TWO, below=0.8)
ALWAYS = JudgeSpec(first=ONE, second=TWO, third=THREE, always_second=True)
UNREADABLE = Reply("well, well", "STOP")
LIMA = Answer("Lima")  # needs no judge


@pytest.mark.parametrize(
    ("answer", "judge", "grade", "reason"),
    [
        (Answer(None, blocked="SAFETY"), "no answer", NOT_ATTEMPTED, "blocked:SAFETY"),
        (Answer("Lima", blocked="RECITATION"), "no answer", NOT_ATTEMPTED, "blocked:RECITATION"),
        (Answer(None), "no answer", NOT_ATTEMPTED, "empty"),
        (Answer(" \n"), "no answer", NOT_ATTEMPTED, "empty"),
        (Answer(None, truncated=True), "no answer", NOT_ATTEMPTED, "truncated"),
        (Answer("lima."), "exact", CORRECT, None),
        (Answer("Lima", truncated=True), "exact", CORRECT, None),
        (Answer(ABSTENTION), "abstained", NOT_ATTEMPTED, None),
        (Answer("i don’t know."), "abstained", NOT_ATTEMPTED, None),
    ],
)
def test_rules(answer: Answer, judge: str, grade: Grade, reason: str | None) -> None:
    assert rule(answer, ["Lima"]) == Verdict(grade, judge, reason=reason)


@pytest.mark.parametrize(
    "text", ["It is Lima", "not Lima", "Oslo", "I don't know. Lima?", "unknown", "none", "I can't say", "Lima is", "?"]
)
@pytest.mark.parametrize("truncated", [False, True])
def test_no_rule_for_anything_else(text: str, truncated: bool) -> None:
    assert rule(Answer(text, truncated=truncated), ["Lima"]) is None


def test_an_abstention_that_is_the_reference_is_right() -> None:
    assert rule(Answer("I don't know"), [ABSTENTION]) == Verdict(CORRECT, "exact")


@given(text=st.text(), blocked=st.none() | st.just("SAFETY"), truncated=st.booleans())
def test_no_rule_finds_an_answer_wrong(text: str, blocked: str | None, truncated: bool) -> None:
    found = rule(Answer(text, blocked=blocked, truncated=truncated), ["Lima", "120"])
    assert found is None or (found.grade != INCORRECT and not found.votes and found.confidence is None)


def votes(*words: tuple[Grade | None, float | None]) -> list[Vote]:
    return [
        Vote(name, seat, "p@0", grade, p, None, "k", "raw", None if grade else "unreadable")
        for (grade, p), name, seat in zip(words, ("one", "two", "three"), ("first", "second", "third"), strict=False)
    ]


@pytest.mark.parametrize(
    ("judge", "words", "grade", "confidence", "reason", "uncertain"),
    [
        (ALONE, [(CORRECT, 0.1)], CORRECT, 0.1, None, False),
        (ALONE, [(CORRECT, None)], CORRECT, None, None, False),
        (ALONE, [(None, None)], None, None, "judge error", True),
        (CUT, [(CORRECT, 0.8)], CORRECT, 0.8, None, False),
        (CUT, [(CORRECT, 0.79)], None, None, "unconfirmed", True),
        (CUT, [(CORRECT, None)], None, None, "unconfirmed", True),
        (CUT, [(CORRECT, 0.5), (CORRECT, 0.6)], CORRECT, 0.5, None, False),
        (CUT, [(CORRECT, 0.5), (CORRECT, None)], CORRECT, 0.5, None, False),
        (CUT, [(CORRECT, 0.5), (INCORRECT, 1.0)], None, None, "judges disagree", True),
        (CUT, [(CORRECT, 0.5), (INCORRECT, 1.0), (CORRECT, 0.4)], CORRECT, 0.4, "majority", True),
        (CUT, [(CORRECT, 0.5), (INCORRECT, 0.7), (INCORRECT, 0.9)], INCORRECT, 0.7, "majority", True),
        (CUT, [(CORRECT, 0.5), (INCORRECT, 1.0), (NOT_ATTEMPTED, 1.0)], None, None, "judges disagree", True),
        (CUT, [(CORRECT, 0.5), (INCORRECT, 1.0), (None, None)], None, None, "judges disagree", True),
        # a second judge who stands in for a first that could not be read is a first
        (CUT, [(None, None), (CORRECT, 0.9)], CORRECT, 0.9, None, False),
        (CUT, [(None, None), (CORRECT, 0.5)], None, None, "unconfirmed", True),
        (CUT, [(None, None), (CORRECT, 0.5), (CORRECT, 0.5)], CORRECT, 0.5, None, False),
        (CUT, [(CORRECT, 0.5), (None, None)], None, None, "unconfirmed", True),
        (CUT, [(CORRECT, 0.5), (None, None), (CORRECT, 0.9)], CORRECT, 0.5, None, False),
        (CUT, [(None, None), (None, None), (CORRECT, 0.9)], CORRECT, 0.9, None, False),
        (CUT, [(None, None)] * 3, None, None, "judge error", True),
        (ALWAYS, [(CORRECT, 1.0)], None, None, "unconfirmed", True),
        (ALWAYS, [(CORRECT, 1.0), (CORRECT, 1.0)], CORRECT, 1.0, None, False),
        (ALWAYS, [(None, None), (CORRECT, 1.0)], None, None, "unconfirmed", True),
    ],
)
def test_what_votes_amount_to(
    judge: JudgeSpec, words: Any, grade: Grade | None, confidence: float | None, reason: str | None, uncertain: bool
) -> None:
    cast = votes(*words)
    names = " + ".join(vote.judge for vote in cast)
    assert verdict_of(cast, judge) == Verdict(grade, names, confidence, tuple(cast), reason, uncertain)


@given(
    words=st.lists(st.tuples(st.sampled_from(Grade) | st.none(), st.floats(0, 1) | st.none()), min_size=1, max_size=3),
    judge=st.sampled_from([ALONE, CUT, PAIR, ALWAYS]),
)
def test_a_grade_is_one_that_was_said_and_not_outvoted(words: Any, judge: JudgeSpec) -> None:
    cast = votes(*words)
    found, grades = verdict_of(cast, judge).grade, [vote.grade for vote in cast]
    if found is not None:
        assert grades.count(found) == max(grades.count(grade) for grade in Grade) > 0
        assert sum(grades.count(grade) == grades.count(found) for grade in Grade) == 1


def test_the_later_vote_of_a_seat_is_its_word() -> None:
    first, again = votes((None, None))[0], votes((CORRECT, 0.9))[0]
    assert verdict_of([first, again], CUT) == Verdict(CORRECT, "one", 0.9, (first, again))


def graded(
    judge: JudgeSpec, *answers: Answer, query: str = QUESTION, accepted: Sequence[str] = (REFERENCE,), **replies: Any
) -> tuple[tuple[Verdict, Verdict], Queue]:
    ask = Queue({name: list(said) for name, said in replies.items()})
    medium, large = (*answers, LIMA)[:2]
    pair = grade_pair(ask, query=query, accepted=accepted, medium=medium, large=large, judge=judge, provider="gemini")
    return asyncio.run(pair), ask


OSLO = Answer("It may be Oslo")


@pytest.mark.parametrize(
    ("judge", "replies", "asked", "grade"),
    [
        (CUT, {"one": [said("INCORRECT", 0.9)]}, ["one"], INCORRECT),
        (CUT, {"one": [said("INCORRECT", 0.7)], "two": [said("INCORRECT", 0.1)]}, ["one", "two"], INCORRECT),
        (
            CUT,
            {"one": [said("INCORRECT", 0.7)], "two": [said("CORRECT")], "three": [said("INCORRECT")]},
            ["one", "two", "three"],
            INCORRECT,
        ),
        (CUT, {"one": [UNREADABLE, said("INCORRECT", 0.9)]}, ["one", "one"], INCORRECT),
        (CUT, {"one": [UNREADABLE] * 2, "two": [said("CORRECT", 0.9)]}, ["one", "one", "two"], CORRECT),
        (CUT, {"one": [Fault(FaultKind.ROW, 400, "no")], "two": [said("CORRECT")]}, ["one", "two"], CORRECT),
        (ALWAYS, {"one": [said("INCORRECT", 1.0)], "two": [said("INCORRECT", 1.0)]}, ["one", "two"], INCORRECT),
        (PAIR, {"one": [said("INCORRECT", 0.5)], "two": [said("CORRECT", 1.0)]}, ["one", "two"], None),
        (ALONE, {"one": [UNREADABLE] * 2}, ["one", "one"], None),
    ],
)
def test_judges_are_asked_until_a_grade_stands(
    judge: JudgeSpec, replies: Any, asked: list[str], grade: Grade | None
) -> None:
    (medium, large), ask = graded(judge, OSLO, **replies)
    assert [call.model for call in ask.calls] == asked == [vote.judge for vote in medium.votes]
    assert medium.grade == grade
    assert [vote.key for vote in medium.votes] == [call.key for call in ask.calls]
    assert large == Verdict(CORRECT, "exact")


def test_each_answer_has_its_own_verdict_and_prompt() -> None:
    replies = {"one": [said("INCORRECT"), said("NOT_ATTEMPTED")]}
    (medium, large), ask = graded(ALONE, OSLO, Answer("Some city"), **replies)
    assert (medium.grade, large.grade) == (INCORRECT, NOT_ATTEMPTED)
    assert ["Oslo" in call.prompt for call in ask.calls] == [True, False]
    assert ["Some city" in call.prompt for call in ask.calls] == [False, True]


def test_equal_answers_are_one_call() -> None:
    _, ask = graded(ALONE, OSLO, OSLO, one=[said("INCORRECT")] * 2)
    assert len({call.key for call in ask.calls}) == 1


def test_aliases_are_references_and_blanks_are_not() -> None:
    (medium, _), ask = graded(
        ALONE, OSLO, Answer("Lima"), accepted=["Lima", " ", "", "Lima", "City of Kings"], one=[said("INCORRECT")]
    )
    assert medium.grade == INCORRECT
    assert ask.calls[0].prompt.count("begin REFERENCE") == 2
    for accepted in ([], ["", "  "]):
        pair, ask = graded(ALONE, OSLO, OSLO, accepted=accepted)
        assert ask.calls == []
        assert {(v.grade, v.reason, v.judge) for v in pair} == {(None, "no ground truth", "nobody")}


def test_a_fault_waits_for_what_is_in_flight() -> None:
    finished: list[Call] = []

    async def ask(call: Call) -> Reply:
        if "Oslo" in call.prompt:
            raise Fault(FaultKind.FATAL, 403, "refused")
        for _ in range(5):
            await asyncio.sleep(0)
        finished.append(call)
        return said("INCORRECT")

    with pytest.raises(Fault, match="refused"):
        asyncio.run(
            grade_pair(
                ask,
                query=QUESTION,
                accepted=[REFERENCE],
                medium=OSLO,
                large=Answer("Some city"),
                judge=ALONE,
                provider="gemini",
            )
        )
    assert len(finished) == 1


def test_a_spec_is_plain_json_and_refuses_what_would_do_nothing() -> None:
    assert JudgeSpec.model_validate_json(CUT.model_dump_json()) == CUT
    assert [seat for seat, _ in seats(CUT)] == ["first", "second", "third"]
    assert [v.partition("@")[0] for v in prompt_versions(CUT)] == ["judge_system", "judge_second"]
    decision = JudgeSpec(kind="decision", first=ONE, second=TWO)
    assert [v.partition("@")[0] for v in prompt_versions(decision)] == ["decision", "judge_second"]
    for useless in ({"third": THREE}, {"below": 0.5}, {"always_second": True}):
        with pytest.raises(ValidationError, match="name a second judge"):
            JudgeSpec(first=ONE, **useless)
