"""How a reply may end: well, out of room, or withheld. Any other end, one that is new included, is no answer."""

from routecal.tasks.oracle.call import Call
from routecal.tasks.oracle.providers.usage import is_chat

STOP, MAX_TOKENS = "STOP", "MAX_TOKENS"

# Gemini's finish reasons that withhold the answer because of what it says; OTHER says nothing about the content.
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

# `stop` is OpenAI's word, and that of vLLM, Ollama, llama.cpp and LiteLLM; TGI says which token or text ended it, and
# some gateways hand on the word of the provider behind them.
_CHAT = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn"), STOP),
    **dict.fromkeys(("length", "max_tokens", "max_length", "model_length"), MAX_TOKENS),
    "content_filter": "SAFETY",
}

# The server gave up, not the model: the same request may well succeed.
_BROKEN_OFF = {
    *("error", "abort", "aborted", "cancel", "cancelled", "canceled", "timeout", "overloaded"),
    "insufficient_system_resource",
}


def end_of(call: Call, said: object) -> str | None:
    """An end as Gemini names it: STOP, MAX_TOKENS or one of `WITHHELD`; None for any that is on no list of ours."""
    word = said.strip() if isinstance(said, str) else ""
    if is_chat(call):
        return _CHAT.get(word.lower())
    word = word.upper()
    return word if word in WITHHELD or word in (STOP, MAX_TOKENS) else None


def is_broken_off(said: object) -> bool:
    """Whether an end that is no good one says that the server gave up."""
    return isinstance(said, str) and said.strip().lower() in _BROKEN_OFF
