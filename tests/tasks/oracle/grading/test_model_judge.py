"""What counts as a judge's word, and what is asked again."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Fault, FaultKind, Reply
from routecal.tasks.oracle.grading.judge_reply import read_grade
from routecal.tasks.oracle.grading.judging import ModelSpec, Vote
from routecal.tasks.oracle.grading.model_judge import SCHEMA, Case, judge_call, model_votes
from tests.tasks.oracle.voices import Queue, said

SPEC = ModelSpec(model="j", max_output_tokens=100, thinking_level="medium")
CASE = Case("Which city?", ("Lima", "Ciudad de los Reyes"), "It is Lima", "gemini")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GRADES = st.sampled_from([*(g.value for g in Grade), "correct", "A", "JUDGE_ERROR", ""])
OBJECTS = st.fixed_dictionaries({}, optional={"grade": GRADES | JSON, "confidence": JSON, "reason": JSON})
REPLIES = st.one_of(
    st.text(st.characters()),
    JSON.map(json.dumps),
    OBJECTS.map(json.dumps),
    st.tuples(st.text(max_size=3), OBJECTS.map(json.dumps), st.text(max_size=3)).map("".join),
)


@given(text=REPLIES)
@example('{"grade": "CORRECT"}')
@example('{"grade": "CORRECT", "grade": "INCORRECT"}')
@example('{"grade": "CORRECT"} {"grade": "CORRECT"}')
@example("[" * 100_000)
@example('{"grade": ' * 100_000)
@example('{"grade": "CORRECT", "confidence": ' + "9" * 5_000 + "}")
@example('{"grade": "CORRECT", "confidence": NaN}')
def test_only_one_whole_object_with_one_grade_is_a_grade(text: str) -> None:
    grade, confidence = read_grade(text)
    if grade is None:
        assert confidence is None
    else:
        # read by other rules: a decoder that keeps pairs, so that nothing is overwritten
        pairs = json.loads(text, object_pairs_hook=lambda found: found)
        assert isinstance(pairs, list)
        assert [value for name, value in pairs if name == "grade"] == [grade.value]
        assert confidence is None or 0 <= confidence <= 1
        assert text.strip()[0] + text.strip()[-1] == "{}"


@given(grade=st.sampled_from(Grade), confidence=st.floats(0, 1), reason=st.text(), pad=st.sampled_from(["", " \n"]))
def test_a_clear_word_is_taken(grade: Grade, confidence: float, reason: str, pad: str) -> None:
    text = json.dumps({"reason": reason, "grade": grade.value, "confidence": confidence})
    assert read_grade(pad + text + pad) == (grade, confidence)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, "0.9", None, True, [1], 1e308])
def test_a_confidence_that_is_none_leaves_the_grade(confidence: object) -> None:
    assert read_grade(json.dumps({"grade": "INCORRECT", "confidence": confidence})) == (Grade.INCORRECT, None)


@pytest.mark.parametrize(
    "text",
    [
        "CORRECT",
        "A",
        '"CORRECT"',
        '["CORRECT"]',
        '{"grade": "correct"}',
        '{"grade": "CORRECT "}',
        '{"grade": null}',
        '{"grade": ["CORRECT"]}',
        '{"verdict": {"grade": "CORRECT"}}',
        '```json\n{"grade": "CORRECT"}\n```',
        'Sure: {"grade": "CORRECT"}',
        '{"grade": "CORRECT"}.',
        '{"grade": "CORRECT"',
        '{"grade": "CORRECT", "grade": "CORRECT"}',
        '{"grade": "CORRECT", "confidence": Infinity}',
        "{'grade': 'CORRECT'}",
        "",
    ],
)
def test_what_is_not_said_clearly_is_no_grade(text: str) -> None:
    assert read_grade(text) == (None, None)


def voted(replies: Sequence[Reply | Exception], seat: str = "first") -> tuple[tuple[Vote, ...], Queue]:
    ask = Queue({"j": list(replies)})
    return asyncio.run(model_votes(ask, CASE, spec=SPEC, seat=seat)), ask


def test_one_clear_reply_is_one_vote() -> None:
    (vote,), ask = voted([said("CORRECT", 0.75)])
    (call,) = ask.calls
    assert (vote.grade, vote.confidence, vote.problem, vote.seat) == ("CORRECT", 0.75, None, "first")
    assert (vote.judge, vote.model_version, vote.key) == ("j", "judge-001", call.key)
    assert vote.prompt_version == call.prompt_version
    assert json.loads(vote.raw)["reason"] == "compared"
    assert call.config == {"max_output_tokens": 100, "thinking_level": "medium", "schema": SCHEMA}
    assert (call.stage, call.endpoint) == ("judge", "generate")


UNCLEAR = {
    "unreadable": Reply("I would say CORRECT", "STOP", model_version="v"),
    "empty": Reply(None, "STOP", model_version="v"),
    "blocked:SAFETY": Reply('{"grade": "CORRECT"}', "SAFETY", "SAFETY", "v"),
    "truncated": Reply('{"reason": "it is CORR', "MAX_TOKENS", model_version="v"),
}


@pytest.mark.parametrize("problem", UNCLEAR)
def test_an_unclear_reply_is_asked_for_again_once(problem: str) -> None:
    (first, second), ask = voted([UNCLEAR[problem], said("INCORRECT", 0.6)])
    assert (first.grade, first.confidence, first.problem, first.model_version) == (None, None, problem, "v")
    assert first.raw == UNCLEAR[problem].text
    assert (second.grade, second.problem) == ("INCORRECT", None)
    before, again = ask.calls
    assert again.prompt == before.prompt
    if problem == "truncated":
        assert (again.config["max_output_tokens"], again.config["thinking_level"], again.sample) == (400, "low", 0)
        assert again.config["schema"] == SCHEMA
    else:
        assert (again.config, again.sample) == (before.config, 1)

    (_, still), ask = voted([UNCLEAR[problem]] * 2)
    assert (still.grade, still.problem, len(ask.calls)) == (None, problem, 2)


def test_a_whole_object_is_clear_though_the_room_ended_behind_it() -> None:
    (vote,), _ = voted([Reply('{"reason": "same", "grade": "CORRECT", "confidence": 1}' + "\n" * 50, "MAX_TOKENS")])
    assert (vote.grade, vote.problem) == ("CORRECT", None)


def test_a_refused_request_is_not_repeated_and_other_faults_pass() -> None:
    for kind, word in ((FaultKind.ROW, "refused"), (FaultKind.BROKEN, "broken")):
        (vote,), ask = voted([Fault(kind, 400, "no")])
        assert (vote.grade, vote.problem, vote.raw, len(ask.calls)) == (None, f"{word}: no", None, 1)
    for kind in set(FaultKind) - {FaultKind.ROW, FaultKind.BROKEN}:
        with pytest.raises(Fault, match="no"):
            voted([Fault(kind, 503, "no")])


def test_no_two_judges_ask_alike() -> None:
    calls = [judge_call(CASE, spec=SPEC, seat=seat) for seat in ("first", "second", "third")]
    assert len({call.key for call in calls}) == 3
    assert calls[0].prompt == calls[1].prompt
    assert calls[0].system != calls[1].system
    # asked again, the first must not ask what the third asks
    assert len({call.sample + again for call in (calls[0], calls[2]) for again in (0, 1)}) == 4
