"""One judge that writes: its request, and the vote that is read from its reply."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calib.policy import Grade
from tasks.oracle.answering import is_cut, with_more_room
from tasks.oracle.call import Call, Reply
from tasks.oracle.faults import Fault, FaultKind
from tasks.oracle.grading.fence import fence_code, fenced
from tasks.oracle.grading.judging import Ask, ModelSpec, Seat, Vote
from tasks.oracle.prompts import fill, prompt, version

# The first and third judge share their words, and might be the same model: then its sample number tells them apart.
SYSTEMS: dict[Seat, str] = {"first": "judge_system", "second": "judge_second", "third": "judge_system"}
SAMPLES: dict[Seat, int] = {"first": 0, "second": 0, "third": 2}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "grade": {"type": "string", "enum": [grade.value for grade in Grade]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["reason", "grade", "confidence"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Case:
    """What a judge is shown, and through which provider: never who answered.

    Attributes:
        query: the question.
        accepted: references, any one of which is enough.
        answer: the text to grade. It is shown whole, however long: what is cut out of it could be what its grade hangs
            on, and its length is bounded by what the answering model was allowed to write.
        provider: of the judges.
    """

    query: str
    accepted: tuple[str, ...]
    answer: str
    provider: str


def judge_call(case: Case, *, spec: ModelSpec, seat: Seat) -> Call:
    """The request that has one judge grade one answer."""
    code = fence_code([case.query, *case.accepted, case.answer])
    fields = {
        "code": code,
        "question": fenced("QUESTION", case.query, code),
        "references": references(case.accepted, code),
        "answer": fenced("ANSWER", case.answer, code),
    }
    return Call(
        provider=case.provider,
        model=spec.model,
        system=prompt(SYSTEMS[seat]),
        prompt=fill(prompt("judge"), fields),
        config={
            "max_output_tokens": spec.max_output_tokens,
            "thinking_level": spec.thinking_level,
            "schema": SCHEMA,
        },
        prompt_version=judge_version(seat),
        sample=SAMPLES[seat],
    )


def judge_version(seat: Seat) -> str:
    """Name and digest of the prompt of a judge."""
    return version(SYSTEMS[seat], "judge")


def references(accepted: Sequence[str], code: str) -> str:
    """One fenced block per reference."""
    return "\n\n".join(fenced("REFERENCE", reference, code) for reference in accepted)


async def model_votes(ask: Ask, case: Case, *, spec: ModelSpec, seat: Seat) -> tuple[Vote, ...]:
    """The vote of one judge; two if the first could not be read and it was asked again, and then the second counts.

    A reply that was cut off is asked for with more room, any other as a new sample. A request that the provider does
    not take is not repeated.

    Raises:
        Fault: of any kind but ROW: the judge could not be asked.
    """
    call = judge_call(case, spec=spec, seat=seat)
    first, cut = await _vote(ask, call, seat)
    if first.grade is not None or first.problem == "refused":
        return (first,)
    again = with_more_room(call) if cut else replace(call, sample=call.sample + 1)
    return first, (await _vote(ask, again, seat))[0]


async def asked(ask: Ask, call: Call) -> Reply | None:
    """The reply, or None if the provider refuses this one request.

    Raises:
        Fault: of any kind but ROW.
    """
    try:
        return await ask(call)
    except Fault as fault:
        if fault.kind is not FaultKind.ROW:
            raise
        return None


async def _vote(ask: Ask, call: Call, seat: Seat) -> tuple[Vote, bool]:
    """(vote, whether the reply was cut off)."""
    vote = Vote(call.model, seat, call.prompt_version, None, None, None, call.key, None, "refused")
    if (reply := await asked(ask, call)) is None:
        return vote, False
    # A whole object is clear even if the room ended behind it: models have been seen to go on with blanks.
    grade, confidence = (None, None) if reply.blocked else read_grade(reply.text or "")
    vote = replace(vote, grade=grade, confidence=confidence, raw=reply.text, model_version=reply.model_version)
    return replace(vote, problem=None if grade else _problem(reply)), is_cut(reply)


def _problem(reply: Reply) -> str:
    if reply.blocked:
        return f"blocked:{reply.blocked}"
    if is_cut(reply):
        return "truncated"
    return "unreadable" if reply.text and reply.text.strip() else "empty"


def read_grade(text: str) -> tuple[Grade | None, float | None]:
    """(grade, confidence) of a judge's reply; never raises.

    The whole text must be one JSON object that names one of the three grades, once. Prose around it, code fences, a
    grade in other letters or named twice give no grade: what a judge did not say clearly is not guessed.

    Returns:
        The grade, or None. The confidence in [0, 1]; None if it is absent, no number or out of range, which leaves
        the grade as it is.

    >>> read_grade('{"reason": "same city", "grade": "CORRECT", "confidence": 0.9}')
    (<Grade.CORRECT: 'CORRECT'>, 0.9)
    >>> read_grade("CORRECT")
    (None, None)
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None, None
    said = found.get("grade") if isinstance(found, dict) else None
    if not isinstance(said, str) or said not in {grade.value for grade in Grade}:
        return None, None
    return Grade(said), confidence_of(found.get("confidence"))


def confidence_of(value: object) -> float | None:
    """A number in [0, 1] as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
