"""The judge that chooses: one request to the decisions endpoint for all answers to a query."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from routecal.calib.policy import Grade
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.grading.judge_reply import confidence_of
from routecal.tasks.oracle.grading.judging import Ask, Vote
from routecal.tasks.oracle.grading.model_judge import ask_judge, quoted_references
from routecal.tasks.oracle.prompt_files import fence_code, fenced, fill, sections, version

LETTERS = "AB"


def in_order(query: str, answers: Sequence[str]) -> list[str]:
    """The different answers in the order they are shown: turned round for every other query.

    Which comes first must not depend on which model wrote it, nor may it change from run to run: a hash of the query
    decides.
    """
    different = list(dict.fromkeys(answers))
    turn = hashlib.sha256(query.encode("utf-8", "surrogatepass")).digest()[0] & 1
    return different[::-1] if turn else different


def decision_call(query: str, accepted: Sequence[str], shown: Sequence[str], *, model: str, provider: str) -> Call:
    """The request that grades one or two different answers, with a question `answer_a` (and `answer_b`) each."""
    parts = sections("decision")
    code = fence_code([query, *accepted, *shown])
    names = [f"ANSWER {letter}" for letter in LETTERS[: len(shown)]]
    fields = {
        "code": code,
        "question": fenced("QUESTION", query, code),
        "references": quoted_references(accepted, code),
        "answers": "\n\n".join(fenced(name, text, code) for name, text in zip(names, shown, strict=True)),
    }
    questions = {
        _question(name): {
            "type": "choice",
            "instructions": fill(parts["instructions"], {"name": name}),
            "criteria": {grade.value: parts[grade.value] for grade in Grade},
        }
        for name in names
    }
    return Call(
        provider=provider,
        model=model,
        system="",
        prompt=fill(parts["input"], fields),
        config={"questions": questions},
        prompt_version=version("decision"),
        endpoint="decide",
    )


async def decision_votes(
    ask: Ask,
    query: str,
    accepted: Sequence[str],
    answers: Sequence[str],
    *,
    model: str,
    provider: str,
    anew: bool = False,
) -> dict[str, tuple[Vote, ...]]:
    """Votes on each different answer text, as the first judge's. Both answers share one request.

    Where a choice is missing the request is made once more as a new sample, for the answers that lack one; with `anew`
    also where an earlier run bought the reply that lacks it.

    Raises:
        Fault: of any kind but ROW and BROKEN: the judge could not be asked.
    """
    shown = in_order(query, answers)
    call = decision_call(query, accepted, shown, model=model, provider=provider)

    def is_read(reply: Reply) -> bool:
        return all(vote.grade for vote in _votes(call, shown, reply).values())

    reply = await ask_judge(ask, call, is_read, anew=anew)
    votes = _votes(call, shown, reply)
    if isinstance(reply, str) or is_read(reply):
        return {text: (vote,) for text, vote in votes.items()}
    again = replace(call, sample=1)
    second = _votes(again, shown, await ask_judge(ask, again, is_read, anew=anew))
    return {text: (vote,) if vote.grade else (vote, second[text]) for text, vote in votes.items()}


def _votes(call: Call, shown: Sequence[str], reply: Reply | str) -> Mapping[str, Vote]:
    return {text: _vote(call, f"answer_{letter.lower()}", reply) for letter, text in zip(LETTERS, shown, strict=False)}


def _vote(call: Call, question: str, reply: Reply | str) -> Vote:
    vote = Vote(call.model, "first", call.prompt_version, None, None, None, call.key, None)
    if isinstance(reply, str):
        return replace(vote, problem=reply)
    vote = replace(vote, model_version=reply.model_version, earlier=reply.earlier)
    if reply.blocked:
        return replace(vote, problem=f"blocked:{reply.blocked}")
    if (answer := reply.choices.get(question)) is None:
        return replace(vote, problem="empty")
    choice, probabilities = answer
    raw = json.dumps({"question": question, "choice": choice, "probabilities": dict(probabilities)})
    if choice not in {grade.value for grade in Grade}:
        return replace(vote, raw=raw, problem="unreadable")
    confidence = confidence_of(probabilities.get(choice))
    return replace(vote, grade=Grade(choice), confidence=confidence, raw=raw, problem=None)


def _question(name: str) -> str:
    return name.lower().replace(" ", "_")
