"""Responses of every provider, from their raw bodies. Pure, so a body from the ledger can be read again any time."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tasks.oracle.call import UNCOUNTED, Call, Reply, Usage
from tasks.oracle.faults import Fault, FaultKind

# Finish reasons that withhold the answer because of what it says; MAX_TOKENS or OTHER say nothing about the content.
WITHHELD = {
    "BLOCKLIST",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_SAFETY",
    "JAILBREAK",
    "LANGUAGE",
    "MODEL_ARMOR",
    "PROHIBITED_CONTENT",
    "RECITATION",
    "SAFETY",
    "SPII",
}

# The finish of a reply to a prompt that was withheld itself: no model wrote anything.
PROMPT_BLOCKED = "BLOCKED"

_CHAT_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}

# No context is as long; databases have no place for what is much longer.
_ABSURD = 2**31

# JSON can hold half a surrogate pair; UTF-8, and so every table of ours, cannot.
_LONE = re.compile("[\ud800-\udfff]")


def require(call: Call, body: str) -> dict[str, Any]:
    """The body as JSON, if it is a response at all.

    Raises:
        Fault: TRANSIENT, and maybe billed: the body is not one whole JSON object, or it holds neither an answer nor
            the reason why there is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        what = "is empty" if not body.strip() else "is not one whole JSON object"
        raise Fault(FaultKind.TRANSIENT, 200, f"the response {what}", maybe_billed=True, body=body)
    if not (_blocked_prompt(found) or _has_answer(call, found)):
        raise Fault(FaultKind.TRANSIENT, 200, "the response holds no answer", maybe_billed=True, body=body)
    return found


def read(call: Call, body: str) -> Reply:
    """What a response says.

    Args:
        call: the request it answers; its provider and endpoint decide how the body is read.
        body: as the provider sent it.

    Raises:
        Fault: as `require`.
    """
    found = require(call, body)
    usage, version, response_id = usage_of(call, body)
    if reason := _blocked_prompt(found):
        return Reply(None, PROMPT_BLOCKED, reason, version, response_id, usage)
    if call.endpoint == "decide":
        return Reply(None, "STOP", None, version, response_id, usage, choices=_choices(found["answers"]))
    text, finish, blocked = (_chat if _is_chat(call) else _candidate)(found)
    return Reply(_clean(text) or None, finish, blocked, version, response_id, usage)


def usage_of(call: Call, body: str) -> tuple[Usage, str | None, str | None]:
    """Tokens, model version and response id of a body, whatever its state; never raises.

    Counts that Gemini leaves out of a `usageMetadata` with a prompt count are 0, for its JSON omits zeros. Where the
    prompt count is missing too, nothing was counted, and they stay None.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return UNCOUNTED, None, None
    if not isinstance(found, dict):
        return UNCOUNTED, None, None
    if call.endpoint == "decide":
        names = ("total_input_tokens", "total_cached_tokens", "total_output_tokens", "total_thought_tokens")
        return _usage(_dict(found, "usage"), *names), _name(found, "model"), _name(found, "id")
    if _is_chat(call):
        return _chat_usage(_dict(found, "usage")), _name(found, "model"), _name(found, "id")
    names = ("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    return _usage(_dict(found, "usageMetadata"), *names), _name(found, "modelVersion"), _name(found, "responseId")


def _is_chat(call: Call) -> bool:
    return call.provider.startswith("openai:")


def _blocked_prompt(found: Mapping[str, Any]) -> str | None:
    """Why the prompt was withheld; the Decisions API spells it in lower case with underscores."""
    reason = _str(_dict(found, "promptFeedback"), "blockReason") or _str(
        _dict(found, "prompt_feedback"), "block_reason"
    )
    return reason.upper() if reason else None


def _has_answer(call: Call, found: Mapping[str, Any]) -> bool:
    if call.endpoint == "decide":
        return bool(_dict(found, "answers"))
    answers = found.get("choices" if _is_chat(call) else "candidates")
    return isinstance(answers, list) and bool(answers) and isinstance(answers[0], dict)


def _candidate(found: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """Text without thoughts, finish reason, and that reason again if it withholds the answer."""
    candidate = found["candidates"][0]
    finish = _str(candidate, "finishReason") or ""
    parts = _dict(candidate, "content").get("parts")
    said = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    text = "".join(_str(part, "text") or "" for part in said if part.get("thought") is not True)
    return text, finish, finish if finish in WITHHELD else None


def _chat(found: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """The same of a chat completion; a refusal is the model's own, and as good as a withheld answer."""
    choice = found["choices"][0]
    said = _str(choice, "finish_reason") or ""
    finish, message = _CHAT_FINISH.get(said, said.upper()), _dict(choice, "message")
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_str(part, "text") or "" for part in content if isinstance(part, dict))
    text = content if isinstance(content, str) else ""
    return text, finish, "SAFETY" if finish == "SAFETY" else "REFUSAL" if _str(message, "refusal") else None


def _choices(answers: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, float]]]:
    """Question -> (answer, probability of each); a question whose answer cannot be read is left out."""
    choices = {}
    for name, answer in answers.items():
        given = answer if isinstance(answer, dict) else {}
        odds = _dict(given, "probabilities")
        if (choice := _str(given, "choice")) and all(_is_number(p) for p in odds.values()):
            choices[name] = (choice, {k: float(p) for k, p in odds.items()})
    return choices


def _usage(counts: Mapping[str, Any], prompt: str, cached: str, output: str, thinking: str) -> Usage:
    if (n_prompt := _count(counts, prompt)) is None:
        return Usage(None, _count(counts, cached), _count(counts, output), _count(counts, thinking))
    # A count that is there but makes no sense is unknown; one that is not there is zero.
    rest = (_count(counts, name) if name in counts else 0 for name in (cached, output, thinking))
    return Usage(n_prompt, *rest)


def _chat_usage(counts: Mapping[str, Any]) -> Usage:
    """Of a chat, whose completion tokens hold the reasoning ones."""
    completion = _count(counts, "completion_tokens")
    thinking = _count(_dict(counts, "completion_tokens_details"), "reasoning_tokens") or 0
    cached = _count(_dict(counts, "prompt_tokens_details"), "cached_tokens") or 0
    prompt = _count(counts, "prompt_tokens")
    return Usage(
        prompt,
        None if prompt is None else cached,
        None if completion is None else max(0, completion - thinking),
        None if completion is None else min(thinking, completion),
    )


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    """A number of tokens; 64-bit ones may come as strings."""
    value = counts.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _ABSURD else None


def _dict(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = mapping.get(name)
    return value if isinstance(value, dict) else {}


def _str(mapping: Mapping[str, Any], name: str) -> str | None:
    value = mapping.get(name)
    return value if isinstance(value, str) and value else None


def _name(mapping: Mapping[str, Any], name: str) -> str | None:
    """A text as databases take it: one response that cannot be stored would hold up those stored together with it."""
    value = _str(mapping, name)
    return value and _clean(value).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _clean(text: str) -> str:
    return _LONE.sub("\N{REPLACEMENT CHARACTER}", text)
