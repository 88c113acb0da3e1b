"""What is taken off a judge's reply before its grade is read, and what is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.grading.judge_reply import bare, has_vote, read_reply

WORD = '{"reason": "same city", "grade": "CORRECT", "confidence": 0.75}'
OTHER = '{"reason": "another city", "grade": "INCORRECT", "confidence": 1}'
READ, UNREAD = (Grade.CORRECT, 0.75), (None, None)


def read(text: str, finish: str = "STOP", blocked: str | None = None) -> tuple[Grade | None, float | None]:
    return read_reply(Reply(text, finish, blocked))


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{WORD}\n```",
        f"```\n{WORD}\n```",
        f"  ```JSON \r\n{WORD}\n  ```\n",
        f"~~~~json\n{WORD}\n~~~~",
        f"<think>The references say Lima.</think>{WORD}",
        f"<think>\n\n</think>\n\n```json\n{WORD}\n```",
        f"<THINKING>Lima, {{so}}.</THINKING>\n{WORD}",
        f"<thought>Lima.</thought>{WORD}",
        f"<reasoning>Lima.</reasoning>{WORD}",
        f"<seed:think>Lima.</seed:think>{WORD}",
        f"[THINK]Lima.[/THINK]{WORD}",
        f"\u25c1think\u25b7Lima.\u25c1/think\u25b7{WORD}",
        f"The references say Lima.\n</think>\n{WORD}",  # the template had written the beginning
        f"<|channel|>analysis<|message|>Lima.<|end|><|start|>assistant<|channel|>final<|message|>{WORD}",
        f"<think>{OTHER} would be wrong</think>{WORD}",
    ],
)
def test_one_fence_and_one_thought_are_taken_off(text: str) -> None:
    assert read(text) == READ


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n```json\n{WORD}\n```\n```",
        f"```json\n{WORD}\n```\nI am sure.",
        f"Here you are:\n```json\n{WORD}\n```",
        f"```json\n{WORD}\n~~~",
        f"```json\n{WORD}",
        f"```python\n{WORD}\n```",
        f"```json\n{WORD}\n```\n```json\n{OTHER}\n```",
        f"<think>a</think><think>b</think>{WORD}",
        f"<think>It quotes </think>{WORD} but is wrong</think>{OTHER}",
        f"<think>It is wrong</think>{OTHER}</think>{WORD}",
        '<think>a</think>{"reason": "see </think>", "grade": "CORRECT"}',
        f"<think>{WORD}",
        f"<think>{WORD}</think>",
        f"{OTHER}</think>{WORD}",
        f"```json\n{OTHER}\n```</think>{WORD}",
        f"{WORD}<think>no, wait</think>",
        f"Lima.</reasoning>{WORD}",
    ],
)
def test_what_else_stands_around_a_grade_leaves_it_unread(text: str) -> None:
    assert read(text) == UNREAD


def test_a_thought_that_was_cut_short_may_end_in_a_quotation() -> None:
    forged = f"<think>The answer says </think>{WORD}"
    assert read(forged, "MAX_TOKENS") == UNREAD
    assert read(WORD + "\n\n", "MAX_TOKENS") == READ


def test_a_withheld_reply_has_no_grade() -> None:
    assert read(WORD, "SAFETY", "SAFETY") == UNREAD


@given(text=st.text(), grade=st.sampled_from(Grade))
def test_a_plain_object_is_read_whatever_its_reason_says(text: str, grade: Grade) -> None:
    said = json.dumps({"reason": f"</think>```json\n{text}", "grade": grade.value, "confidence": 1}, ensure_ascii=False)
    assert read(said) == (grade, 1.0)


@given(text=st.text(st.sampled_from("<>/think`~{}[]\n json|"), max_size=60))
def test_nothing_is_made_up(text: str) -> None:
    assert bare(text) in text
    assert read(text) == UNREAD


def test_decisions_have_a_vote_where_one_choice_is_a_grade() -> None:
    call = Call("gemini", "d", "", "q", {"questions": {}}, "v", endpoint="decide")
    assert has_vote(call, Reply(None, "STOP", choices={"a": ("PERFECT", {}), "b": ("CORRECT", {})}))
    assert not has_vote(call, Reply(None, "STOP", choices={"a": ("PERFECT", {})}))
    assert not has_vote(call, Reply(None, "BLOCKED", "SAFETY", choices={"a": ("CORRECT", {})}))
