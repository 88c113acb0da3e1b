"""One judge that writes: its request, and the vote that is read from its reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Call, Fault, FaultKind, Reply
from routecal.tasks.oracle.grading.answering import is_cut, with_more_room
from routecal.tasks.oracle.grading.judge_reply import read_reply
from routecal.tasks.oracle.grading.judging import Ask, JudgeForm, ModelSpec, Seat, Vote
from routecal.tasks.oracle.prompt_files import fence_code, fenced, fill, prompt, version

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

# What each form adds to a request. The prompts ask for the same JSON in words.
FORMS: dict[JudgeForm, dict[str, Any]] = {"schema": {"schema": SCHEMA}, "object": {"json_object": True}, "prompt": {}}


@dataclass(frozen=True, slots=True)
class Case:
    """What a judge is shown, and through which provider: never who answered.

    Attributes:
        query: the question.
        accepted: references, any one of which is enough.
        answer: the text to grade. It is shown whole, however long: what is cut out of it could be what its grade hangs
            on, and its length is bounded by what the answering model was allowed to write.
        provider: of the judges.
        form: what holds their replies to JSON.
    """

    query: str
    accepted: tuple[str, ...]
    answer: str
    provider: str
    form: JudgeForm = "schema"


def judge_call(case: Case, *, spec: ModelSpec, seat: Seat) -> Call:
    """The request that has one judge grade one answer."""
    code = fence_code([case.query, *case.accepted, case.answer])
    fields = {
        "code": code,
        "question": fenced("QUESTION", case.query, code),
        "references": quoted_references(case.accepted, code),
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
            **FORMS[case.form],
        },
        prompt_version=judge_version(seat),
        sample=SAMPLES[seat],
    )


def judge_version(seat: Seat) -> str:
    """Name and digest of the prompt of a judge."""
    return version(SYSTEMS[seat], "judge")


def quoted_references(accepted: Sequence[str], code: str) -> str:
    """One fenced block per reference."""
    return "\n\n".join(fenced("REFERENCE", reference, code) for reference in accepted)


async def model_votes(ask: Ask, case: Case, *, spec: ModelSpec, seat: Seat, anew: bool = False) -> tuple[Vote, ...]:
    """The vote of one judge; two if the first could not be read and it was asked again, and then the second counts.

    A reply that was cut off is asked for with more room, any other as a new sample. A request that the provider does
    not take is not repeated.

    Args:
        ask: puts one call.
        case: what is judged.
        spec: the judge.
        seat: as which judge.
        anew: have replies of an earlier run that gave no vote bought again.

    Raises:
        Fault: of any kind but ROW and BROKEN: the judge could not be asked.
    """
    call = judge_call(case, spec=spec, seat=seat)
    reply = await ask_judge(ask, call, _has_grade, anew=anew)
    first = _vote(call, seat, reply)
    if first.grade is not None or isinstance(reply, str):
        return (first,)
    again = with_more_room(call) if is_cut(reply) else replace(call, sample=call.sample + 1)
    return first, _vote(again, seat, await ask_judge(ask, again, _has_grade, anew=anew))


async def ask_judge(ask: Ask, call: Call, is_read: Callable[[Reply], bool], *, anew: bool) -> Reply | str:
    """The reply, or the problem of a request that the provider refuses, or answers with what is no answer.

    Args:
        ask: puts one call.
        call: to a judge.
        is_read: whether a reply gives all its votes.
        anew: have a reply of an earlier run that does not bought again.

    Raises:
        Fault: of any kind but ROW and BROKEN.
    """
    try:
        reply = await ask(call)
        return await ask(call, anew=True) if anew and reply.earlier and not is_read(reply) else reply
    except Fault as fault:
        if fault.kind not in (FaultKind.ROW, FaultKind.BROKEN):
            raise
        return f"{'refused' if fault.kind is FaultKind.ROW else 'broken'}: {fault.message}"


def _has_grade(reply: Reply) -> bool:
    return read_reply(reply)[0] is not None


def _vote(call: Call, seat: Seat, reply: Reply | str) -> Vote:
    vote = Vote(call.model, seat, call.prompt_version, None, None, None, call.key, None)
    if isinstance(reply, str):
        return replace(vote, problem=reply)
    grade, confidence = read_reply(reply)
    vote = replace(vote, grade=grade, confidence=confidence, raw=reply.text, model_version=reply.model_version)
    return replace(vote, problem=None if grade else _problem(reply), earlier=reply.earlier)


def _problem(reply: Reply) -> str:
    if reply.blocked:
        return f"blocked:{reply.blocked}"
    if is_cut(reply):
        return "truncated"
    return "unreadable" if reply.text and reply.text.strip() else "empty"
