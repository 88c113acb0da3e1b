"""What a judge's reply says: the grade in it, if it is said clearly and whole."""

import json
import re
from typing import Any

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.providers.finish_reasons import STOP

# How models that think aloud mark where their thoughts begin and end: DeepSeek, Qwen and many others; Magistral;
# Seed; Kimi; gpt-oss, whose last mark begins the answer.
_THOUGHTS = [
    *((rf"<{name}>", rf"</{name}>") for name in ("think", "thinking", "thought", "reasoning", "seed:think")),
    (r"\[THINK\]", r"\[/THINK\]"),
    ("◁think▷", "◁/think▷"),
    (r"(?:<\|start\|>assistant)?<\|channel\|>analysis<\|message\|>", r"<\|channel\|>final<\|message\|>"),
]
# How the object itself begins, bare or fenced.
_OBJECT = ("{", "`", "~")
_FENCE = re.compile(
    r"(?P<fence>`{3,}|~{3,})[ \t]*(?:json)?[ \t]*\r?\n(?P<inside>.*)\n[ \t]*(?P=fence)", re.DOTALL | re.IGNORECASE
)


def read_reply(reply: Reply) -> tuple[Grade | None, float | None]:
    """(grade, confidence) of the reply of a judge that writes; a withheld one has none.

    A whole object is clear even if the room ended behind it: models have been seen to go on with blanks. But where a
    thought was cut short, what seems to follow it may be a quotation in it; so only a reply that ended by itself is
    freed of its thoughts.
    """
    if reply.blocked:
        return None, None
    text = reply.text or ""
    return read_grade(bare(text) if reply.finish == STOP else text)


def has_vote(call: Call, reply: Reply) -> bool:
    """Whether a judge's reply holds a grade, of at least one answer."""
    if call.endpoint == "decide":
        grades = {grade.value for grade in Grade}
        return reply.blocked is None and any(choice in grades for choice, _ in reply.choices.values())
    return read_reply(reply)[0] is not None


def bare(text: str) -> str:
    """The text without one thinking block before it and one code fence around it; whatever else there is stays.

    A block whose end occurs twice stays too: which of the two ends it, nobody can tell.

    >>> bare("<think>Same city.</think>\\n```json\\n{}\\n```")
    '{}'
    >>> bare("So: ```json\\n{}\\n```")
    'So: ```json\\n{}\\n```'
    """
    text = text.strip()
    for begin, end in _THOUGHTS:
        # Some templates write the beginning into the prompt, so that the reply has the end alone.
        is_begun = re.match(begin, text, re.IGNORECASE) or (begin == "<think>" and not text.startswith(_OBJECT))
        ends = list(re.finditer(end, text, re.IGNORECASE)) if is_begun else []
        if len(ends) == 1:
            text = text[ends[0].end() :].strip()
            break
    fenced = _FENCE.fullmatch(text)
    return fenced["inside"].strip() if fenced else text


def read_grade(text: str) -> tuple[Grade | None, float | None]:
    """(grade, confidence) of a judge's words; never raises.

    The whole text must be one JSON object that names one of the three grades, once. Prose around it, a grade in other
    letters or named twice give no grade: what a judge did not say clearly is not guessed.

    Returns:
        The grade, or None. The confidence in [0, 1]; None if it is absent, no number or out of range, which leaves
        the grade as it is.

    >>> read_grade('{"reason": "same city", "grade": "CORRECT", "confidence": 0.9}')
    (<Grade.CORRECT: 'CORRECT'>, 0.9)
    >>> read_grade("CORRECT")
    (None, None)
    """
    try:
        parsed = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None, None
    said = parsed.get("grade") if isinstance(parsed, dict) else None
    if not isinstance(said, str) or said not in {grade.value for grade in Grade}:
        return None, None
    return Grade(said), confidence_of(parsed.get("confidence"))


def confidence_of(value: object) -> float | None:
    """A number in [0, 1] as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a name occurs twice")
    return mapping


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
