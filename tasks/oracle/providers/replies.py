"""Responses of every provider, from their raw bodies. Pure, so a body from the ledger can be read again any time.

What a server sent is taken for what a model said only where that is beyond doubt: one choice, a good end, a text. A
body is one of four things.

- An answer: text and a good end, or no room, or withheld, or a model that ended well and said the empty text.
- Broken (BROKEN, or TRANSIENT where the server gave up or the line was cut): a response, but no answer.
- An error that was sent with HTTP 200: a fault of the class that it would have been with its own status.
- No completion at all (FATAL, free of charge).
"""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from routecal.plain_text import plain
from routecal.tasks.oracle.call import Call, Fault, FaultKind, Reply
from routecal.tasks.oracle.providers.error_classes import of_status
from routecal.tasks.oracle.providers.finish_reasons import (
    MAX_TOKENS,
    PROMPT_BLOCKED,
    STOP,
    WITHHELD,
    end_of,
    is_broken_off,
)
from routecal.tasks.oracle.providers.response_bodies import json_object, not_a_completion
from routecal.tasks.oracle.providers.usage import clean, dict_at, is_chat, str_at, usage_of

# Where servers put what a model thought, apart from what it said.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")

_THOUGHT_ONLY = (
    "give the models more room (--max-output-tokens) or less to think about (--medium-thinking none, "
    "--large-thinking none, --judge-thinking none), or set the reasoning parser of the server to the model's"
)
_TOOLS = "switch the tools of the server off: none was offered"
_BY_HAND = "ask the model by hand, and look into the server's log"

# What errors that come with HTTP 200 are called, and the status each would have had.
_NAMED = {
    r"rate.?limit|too.?many.?requests|insufficient.?quota|RESOURCE_EXHAUSTED": 429,
    r"invalid.?api.?key|authentication|unauthorized|UNAUTHENTICATED": 401,
    r"permission.?denied": 403,
    r"model.?not.?found|not.?found.?error": 404,
    r"INVALID_ARGUMENT": 400,
}


def read_response(call: Call, body: str) -> Reply:
    """What a response says.

    Args:
        call: the request it answers; its provider and endpoint decide how the body is read.
        body: as the provider sent it.

    Raises:
        Fault: it is no answer; which kind says what to do about it.
    """
    parsed = json_object(body)
    _check_reported(call, parsed, parsed.get("error"), body)
    usage, version, response_id = usage_of(call, body)
    if not is_chat(call) and (reason := _blocked_prompt(parsed)):
        return Reply(None, PROMPT_BLOCKED, reason, version, response_id, usage)
    if call.endpoint == "decide":
        answers = parsed.get("answers")
        if not isinstance(answers, dict) or not answers:
            _no_answer(parsed, ("answers", "usage"), body)
        return Reply(None, STOP, None, version, response_id, usage, choices=_choices(answers))
    text, finish, blocked = (_chat if is_chat(call) else _candidate)(call, parsed, body)
    if text and usage.output == 0:
        # Some servers count nothing and say 0.
        usage = usage._replace(output=None, thinking=None)
    return Reply(clean(text) or None, finish, blocked, version, response_id, usage)


def broken(what: str, hint: str, body: str, *, kind: FaultKind = FaultKind.BROKEN) -> NoReturn:
    """Raise the fault of a reply that came, and may be billed, but is no answer."""
    raise Fault(kind, 200, what, maybe_billed=True, hint=hint if kind is FaultKind.BROKEN else "", body=body)


def _check_reported(call: Call, parsed: Mapping[str, Any], error: object, body: str) -> None:
    """Raise the fault that a body of status 200 reports, as some gateways do for the server behind them."""
    if parsed.get("object") == "error" and not error:
        error = parsed
    if not error:
        return
    said = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else ""}
    named = " ".join(str(said.get(name) or "") for name in ("code", "status", "type"))
    status = next((int(code) for code in re.findall(r"\b[45][0-9][0-9]\b", named)), None)
    if status is None:
        status = next((code for words, code in _NAMED.items() if re.search(words, named, re.IGNORECASE)), 502)
    key_name = "OPENAI_API_KEY" if is_chat(call) else "GEMINI_API_KEY"
    fault = of_status(status, {"error": said}, model=call.model, key_name=key_name)
    # A part of an answer, or a count of tokens, may well be on the bill.
    is_billed = any(parsed.get(name) for name in ("choices", "candidates", "usage", "usageMetadata"))
    raise Fault(fault.kind, fault.code, fault.message, fault.retry_after_s, is_billed, fault.hint, body)


def _no_answer(parsed: Mapping[str, Any], known: tuple[str, ...], body: str) -> NoReturn:
    """Raise the fault of a body without an answer: broken if it has the form of a response, else none at all."""
    if any(name in parsed for name in known):
        broken("the response holds no answer", _BY_HAND, body)
    not_a_completion(body, "JSON of another kind")


def _only(parsed: Mapping[str, Any], name: str, known: tuple[str, ...], body: str) -> dict[str, Any]:
    """The one choice, or candidate, of a response: one was asked for."""
    several = parsed.get(name)
    if not isinstance(several, list) or not several or not isinstance(several[0], dict):
        _no_answer(parsed, (name, *known), body)
    if len(several) > 1:
        broken(f"the response holds {len(several)} answers where one was asked for", _BY_HAND, body)
    only: dict[str, Any] = several[0]
    return only


def _blocked_prompt(parsed: Mapping[str, Any]) -> str | None:
    """Why the prompt was withheld; the Decisions API spells it in lower case with underscores."""
    reason = str_at(dict_at(parsed, "promptFeedback"), "blockReason") or str_at(
        dict_at(parsed, "prompt_feedback"), "block_reason"
    )
    return reason.upper() if reason else None


def _ended(call: Call, said: object, body: str) -> str:
    """The end of a reply, if it is one on our list."""
    if (finish := end_of(call, said)) is not None:
        return finish
    shown = "no end" if said is None else f"the end {plain(str(said), at_most=60)!r}"
    kind = FaultKind.TRANSIENT if is_broken_off(said) else FaultKind.BROKEN
    tools = isinstance(said, str) and re.search("tool|function", said, re.IGNORECASE)
    broken(f"the reply has {shown}, so it is no whole answer", _TOOLS if tools else _BY_HAND, body, kind=kind)


def _candidate(call: Call, parsed: Mapping[str, Any], body: str) -> tuple[str, str, str | None]:
    """Text without thoughts, finish reason, and that reason again if it withholds the answer."""
    candidate = _only(parsed, "candidates", ("promptFeedback", "usageMetadata", "modelVersion"), body)
    finish = _ended(call, candidate.get("finishReason"), body)
    if finish in WITHHELD:
        return "", finish, finish
    parts = dict_at(candidate, "content").get("parts")
    said = parts if isinstance(parts, list) else [] if parts is None else [parts]
    if not all(isinstance(part, dict) and part.get("thought") in (None, True, False) for part in said):
        broken("the reply holds parts that cannot be read", _BY_HAND, body)
    if any("functionCall" in part for part in said):
        broken("the reply calls a function", _TOOLS, body)
    texts = [part["text"] for part in said if not part.get("thought") and "text" in part]
    return _worded(texts, finish, any(part.get("thought") for part in said), body), finish, None


def _chat(call: Call, parsed: Mapping[str, Any], body: str) -> tuple[str, str, str | None]:
    """The same of a chat completion; a refusal is the model's own, and as good as a withheld answer."""
    choice = _only(parsed, "choices", ("usage",), body)
    _check_reported(call, parsed, choice.get("error"), body)
    if "message" not in choice and ("delta" in choice or "text" in choice):
        not_a_completion(body, "a piece of a stream" if "delta" in choice else "a completion of another endpoint")
    finish, message = _ended(call, choice.get("finish_reason"), body), dict_at(choice, "message")
    if finish in WITHHELD:
        return "", finish, finish
    if message.get("tool_calls") or message.get("function_call"):
        broken("the reply calls a tool", _TOOLS, body)
    if str_at(message, "refusal"):
        return "", finish, "REFUSAL"
    content = message.get("content")
    parts = content if isinstance(content, list) else [] if content is None else [{"text": content}]
    if not all(isinstance(part, dict) for part in parts):
        broken("the reply holds parts that cannot be read", _BY_HAND, body)
    texts = [part["text"] for part in parts if "text" in part]
    thought = any(message.get(name) for name in _THOUGHTS) or len(texts) < len(parts)
    return _worded(texts, finish, thought, body), finish, None


def _worded(texts: list[Any], finish: str, has_thoughts: bool, body: str) -> str:
    """The text of an answer. Only a model that ended well, thought nothing and said the empty text chose silence."""
    if not all(isinstance(text, str) for text in texts):
        broken("the reply holds parts that cannot be read", _BY_HAND, body)
    text = "".join(texts)
    if text.strip() or finish == MAX_TOKENS:
        return text
    if has_thoughts and not text:
        broken("the reply holds thoughts and no answer", _THOUGHT_ONLY, body)
    if not texts or text:
        broken(f"the reply holds {'white space alone' if text else 'no text'}", _BY_HAND, body)
    return text


def _choices(answers: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, float]]]:
    """Question -> (answer, probability of each); a question whose answer cannot be read is left out."""
    choices = {}
    for name, answer in answers.items():
        given = answer if isinstance(answer, dict) else {}
        odds = dict_at(given, "probabilities")
        if (choice := str_at(given, "choice")) and all(_is_number(p) for p in odds.values()):
            choices[name] = (choice, {k: float(p) for k, p in odds.items()})
    return choices


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
