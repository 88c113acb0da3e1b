"""Tokens of a response, as the provider counted them. What makes no sense is unknown, and no money is counted by it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from routecal.tasks.oracle.call import UNCOUNTED, Call, Usage

# No context is as long.
_ABSURD = 2**24
# What a server may read or write beyond what was asked for: a system prompt of its own, a cap it does not keep to.
_SURPLUS = 2**17
_CAPS = 8

# JSON can hold half a surrogate pair; UTF-8, and so every table of ours, cannot.
_LONE = re.compile("[\ud800-\udfff]")


def usage_of(call: Call, body: str) -> tuple[Usage, str | None, str | None]:
    """Tokens, model version and response id of a body, whatever its state; never raises.

    Counts that Gemini leaves out of a `usageMetadata` with a prompt count are 0, for its JSON omits zeros. Where the
    prompt count is missing too, nothing was counted, and they stay None. So does a count that cannot be: negative, no
    whole number, 0 for a prompt that has words, or far more than the request had and allowed.
    """
    try:
        parsed = json.loads(body.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return UNCOUNTED, None, None
    if not isinstance(parsed, dict):
        return UNCOUNTED, None, None
    if call.endpoint == "decide":
        names = ("total_input_tokens", "total_cached_tokens", "total_output_tokens", "total_thought_tokens")
        usage, version, response_id = _counted(dict_at(parsed, "usage"), *names), "model", "id"
    elif is_chat(call):
        usage, version, response_id = _of_chat(dict_at(parsed, "usage")), "model", "id"
    else:
        names = ("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
        usage = _counted(dict_at(parsed, "usageMetadata"), *names)
        version, response_id = "modelVersion", "responseId"
    return _plausible(call, usage), _name(parsed, version), _name(parsed, response_id)


def is_chat(call: Call) -> bool:
    """Whether a call goes to a server that speaks OpenAI's chat completions."""
    return call.provider.startswith("openai:")


def clean(text: str) -> str:
    """The text with a replacement for every half of a surrogate pair."""
    return _LONE.sub("\N{REPLACEMENT CHARACTER}", text)


def dict_at(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of that name; an empty one where there is none."""
    value = mapping.get(name)
    return value if isinstance(value, dict) else {}


def str_at(mapping: Mapping[str, Any], name: str) -> str | None:
    """The text of that name; None where there is none, or an empty one."""
    value = mapping.get(name)
    return value if isinstance(value, str) and value else None


def _plausible(call: Call, usage: Usage) -> Usage:
    """The usage without counts that this call cannot have led to."""
    read, written = len((call.system + call.prompt).encode("utf-8", "surrogatepass")), usage.output
    prompt, cap = usage.prompt, call.config.get("max_output_tokens")
    if prompt is not None and read and (prompt == 0 or prompt > 4 * (read + len(call.config_json)) + _SURPLUS):
        prompt = None
    most = max(_CAPS * cap, _SURPLUS) if isinstance(cap, int) else _ABSURD
    if written is not None and written + (usage.thinking or 0) > most:
        return Usage(prompt, usage.cached, None, None)
    return usage._replace(prompt=prompt)


def _counted(counts: Mapping[str, Any], prompt: str, cached: str, output: str, thinking: str) -> Usage:
    if (n_prompt := _count(counts, prompt)) is None:
        return Usage(None, _count(counts, cached), _count(counts, output), _count(counts, thinking))
    # A count that is there but makes no sense is unknown; one that is not there is zero.
    rest = (_count(counts, name) if name in counts else 0 for name in (cached, output, thinking))
    return Usage(n_prompt, *rest)


def _of_chat(counts: Mapping[str, Any]) -> Usage:
    """Of a chat, whose completion tokens hold the reasoning ones."""
    completion = _count(counts, "completion_tokens")
    thinking = _count(dict_at(counts, "completion_tokens_details"), "reasoning_tokens") or 0
    cached = _count(dict_at(counts, "prompt_tokens_details"), "cached_tokens") or 0
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


def _name(mapping: Mapping[str, Any], name: str) -> str | None:
    """A text as databases take it: one response that cannot be stored would hold up those stored together with it."""
    value = str_at(mapping, name)
    return value and clean(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
