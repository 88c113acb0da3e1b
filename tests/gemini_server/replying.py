"""Bodies that come with status 200, good and bad, by the name a script calls them."""

import json
from typing import Any

from tests.gemini_server import wire
from tests.gemini_server.answers import Respond
from tests.gemini_server.scripts import Playing
from tests.gemini_server.wire import Request

# Steps whose body is a whole response, so that it can stand in a row of a batch too.
CONTENT = {
    *("ok", "blocked", "empty", "safety", "recitation", "max-tokens", "new-enum", "continuation", "wrong-version"),
    "no-usage",
}

# Finish reasons of OpenAI's protocol.
_CHAT_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def body_of(request: Request, step: str, playing: Playing, respond: Respond) -> bytes:
    """The bytes that a step sends."""
    match step:
        case "empty-body":
            return b""
        case "list":
            return b"[]"
        case "html":
            return b"<html><body>Sign in to the network of this hotel</body></html>"
        case "echo":
            return f"<html>{dict(request.headers)}</html>".encode()
        case "not-utf8":
            return b'{"candidates": [{"content": {"parts": [{"text": "S\xe3o"}]}}]}'
    whole = json.dumps(_reply(request, step, playing, respond)).encode()
    return whole[: len(whole) * 2 // 3] if step == "truncated" else whole


def _reply(request: Request, step: str, playing: Playing, respond: Respond) -> dict[str, Any]:
    version = "gemini-2.0-flash-lite" if step == "wrong-version" else playing.script.version
    if step in ("blocked", "empty"):
        return _withheld(request, step, version)
    if request.endpoint == "decide":
        return wire.decided(request, json.loads(respond(request)))
    finish = {"safety": "SAFETY", "recitation": "RECITATION"}.get(step, "STOP")
    if step == "max-tokens" and playing.cuts_off(request.cap):
        finish = "MAX_TOKENS"
    withheld, thoughts = finish != "STOP", playing.script.thoughts
    if finish == "MAX_TOKENS":
        thoughts = request.cap or 0
    text = None if withheld else respond(request)
    if request.endpoint == "chat":
        stop = _CHAT_FINISH.get(finish, "stop")
        reply = wire.chatted(request, text, finish=stop, thoughts=thoughts, version=version)
        if step == "no-usage":
            del reply["usage"]
        return reply
    reply = wire.generated(request, text, finish=finish, thoughts=thoughts, version=version)
    match step:
        case "new-enum":
            reply["candidates"][0] |= {"finishReason": "STOP_OF_NEW_KIND", "newField": {"deep": [1]}}
            reply["newField"] = "new"
        case "continuation":
            # Odd in the wild, but the SDK answers it with another request unless told not to.
            reply["candidates"][0]["finishReason"] = "CONTINUATION"
            reply["candidates"][0]["continuationToken"] = "bW9yZQ=="
        case "no-usage":
            del reply["usageMetadata"]
    return reply


def _withheld(request: Request, step: str, version: str | None) -> dict[str, Any]:
    """A blocked prompt, or a response without candidates."""
    if request.endpoint == "decide":
        feedback = {"prompt_feedback": {"block_reason": "prohibited_content"}} if step == "blocked" else {}
        return {"answers": {}, **feedback, "usage": {"total_input_tokens": request.tokens}}
    if request.endpoint == "chat":
        return {**wire.chatted(request, None, finish="content_filter"), **({"choices": []} if step == "empty" else {})}
    reply = wire.generated(request, None, version=version)
    del reply["candidates"]
    if step == "blocked":
        reply["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
    return reply
