"""Asking a model one question: the call, its one repetition with more room, and the answer that comes of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.grading.judging import Ask, ModelSpec
from routecal.tasks.oracle.prompt_files import prompt, version

# What the prompt asks a model to say when it does not know.
ABSTENTION = "I don't know"

# How much more a call may write that was cut off.
MORE_ROOM = 4

_DEEP = {"medium", "high"}


Role = Literal["medium", "large"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model answered to one query.

    Attributes:
        text: None if it said nothing, or what it said was withheld.
        blocked: why the prompt or the answer was withheld, else None.
        truncated: it did not come to an end, even with more room.
        model: that was asked.
        model_version: the model that answered, as it says itself.
        provider: through which it was asked.
        prompt_version: of the prompt it answered.
        keys: of the calls it took, one or two, by which the ledger knows them.
    """

    text: str | None
    blocked: str | None = None
    truncated: bool = False
    model: str = "unknown"
    model_version: str | None = None
    provider: str = "unknown"
    prompt_version: str | None = None
    keys: tuple[str, ...] = ()


def answer_call(query: str, *, spec: ModelSpec, provider: str, role: Role) -> Call:
    """The request that puts a query to a model; the query is the whole user turn, as it is."""
    return Call(
        provider=provider,
        model=spec.model,
        system=prompt("answer_system"),
        prompt=query,
        config={"max_output_tokens": spec.max_output_tokens, "thinking_level": spec.thinking_level},
        prompt_version=version("answer_system"),
        stage=role,
    )


OnAnswer = Callable[[Answer], Awaitable[None]]


async def ask_model(
    ask: Ask, query: str, *, spec: ModelSpec, provider: str, role: Role, on_answer: OnAnswer | None = None
) -> Answer:
    """The answer of a model to a query; `on_answer` gets it first.

    An answer that is cut off is asked for once more with four times the room and little thinking: thoughts count as
    output, and they are what fills it. If that is cut off too, what it says stands as a truncated answer; if it says
    nothing, what the first one had said.

    Raises:
        Fault: the call brought no response, or is one that the provider never takes. A refused request (HTTP 400) is
            no silence of the model: it may be our mistake, and would then be one on every row.
    """
    call = answer_call(query, spec=spec, provider=provider, role=role)
    replies, keys = [await ask(call)], [call.key]
    if is_cut(replies[0]):
        roomier = with_more_room(call)
        replies.append(await ask(roomier))
        keys.append(roomier.key)
    last = replies[-1]
    # Of a withheld answer some part may have come through; it is not what a user would have got.
    worded = [] if last.blocked else [reply for reply in replies if reply.text and reply.text.strip()]
    source = worded[-1] if worded else last
    answer = Answer(
        text=source.text if worded else None,
        blocked=last.blocked,
        truncated=is_cut(source),
        model=call.model,
        model_version=source.model_version,
        provider=provider,
        prompt_version=call.prompt_version,
        keys=tuple(keys),
    )
    if on_answer is not None:
        await on_answer(answer)
    return answer


def is_cut(reply: Reply) -> bool:
    """Whether the reply ran out of room."""
    return reply.blocked is None and reply.finish == "MAX_TOKENS"


def with_more_room(call: Call) -> Call:
    """The same request with four times the output tokens and at most low thinking; a level not sent stays unsent."""
    level = call.config.get("thinking_level")
    room = call.config["max_output_tokens"] * MORE_ROOM
    config = {**call.config, "max_output_tokens": room, "thinking_level": "low" if level in _DEEP else level}
    return replace(call, config=config)
