"""What goes over the wire: requests read, responses written, as the public REST documentation shows them."""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# .../models/M:method, in the developer API and in Vertex.
MODEL_CALL = re.compile(
    r"^/(?P<version>v1\w*)(?P<vertex>/projects/[^/]+/locations/[^/]+/publishers/google|/publishers/google)?"
    r"/models/(?P<model>[^/:]+):(?P<method>\w+)$"
)
DECISIONS = re.compile(r"^/(?P<version>v1\w*)/decisions$")
CHAT = "/openai/v1/chat/completions"


@dataclass(frozen=True)
class Request:
    """One request to a model, whichever of the protocols it came by.

    `config` is `generationConfig` (or, of a chat, the body without its messages); `cap` is the cap on output tokens.
    """

    endpoint: str
    model: str
    system: str
    prompt: str
    config: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    questions: Mapping[str, Any] = field(default_factory=dict)
    cap: int | None = None
    tier: str = "standard"
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """The same for the same request to the same model, whatever tier, path or spelling of fields it comes by."""
        said = [self.endpoint, self.model, self.system, self.prompt, self.questions, _one_spelling(self.config)]
        return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).digest()

    @property
    def tokens(self) -> int:
        """Input tokens, at four characters each."""
        return max(1, (len(self.system) + len(self.prompt)) // 4)


def read_generate(model: str, body: Mapping[str, Any], about: Mapping[str, Any] = {}) -> Request:
    """A generateContent request; fields may be in camelCase or snake_case, as the real service takes both."""
    config = pick(body, "generationConfig", "generation_config") or {}
    return Request(
        endpoint="generate",
        model=model.removeprefix("models/"),
        system=_text(pick(body, "systemInstruction", "system_instruction")),
        prompt="\n".join(_text(content) for content in body.get("contents", [])),
        config=config,
        schema=pick(config, "responseJsonSchema", "response_json_schema", "responseSchema", "response_schema"),
        cap=pick(config, "maxOutputTokens", "max_output_tokens"),
        tier=pick(body, "serviceTier", "service_tier") or "standard",
        body=body,
        **about,
    )


def read_decide(body: Mapping[str, Any], about: Mapping[str, Any] = {}) -> Request:
    """A request to the Decisions API."""
    prompt = body["input"] if isinstance(body["input"], str) else json.dumps(body["input"])
    model = body["model"].removeprefix("models/")
    return Request("decide", model, "", prompt, questions=body["questions"], body=body, **about)


def read_chat(body: Mapping[str, Any], about: Mapping[str, Any] = {}) -> Request:
    """A chat completion request in OpenAI's protocol."""
    said = {m["role"]: m["content"] for m in body["messages"]}
    form = body.get("response_format") or {}
    return Request(
        endpoint="chat",
        model=body["model"],
        system=said.get("system") or said.get("developer") or "",
        prompt=said.get("user", ""),
        config={k: v for k, v in body.items() if k not in ("messages", "model", "service_tier")},
        schema=(form.get("json_schema") or {}).get("schema"),
        cap=body.get("max_completion_tokens") or body.get("max_tokens"),
        body=body,
        **about,
    )


def generated(
    request: Request, text: str | None, *, finish: str = "STOP", thoughts: int = 0, version: str | None = None
) -> dict[str, Any]:
    """A generateContent response with one candidate."""
    candidate: dict[str, Any] = {"finishReason": finish, "index": 0}
    if text is not None:
        parts: list[dict[str, Any]] = [{"text": text}]
        if thoughts:
            parts.insert(0, {"text": "Let me think.", "thought": True})
        candidate["content"] = {"parts": parts, "role": "model"}
    usage = {"promptTokenCount": request.tokens, "totalTokenCount": request.tokens + tokens_of(text) + thoughts}
    if text is not None:
        usage["candidatesTokenCount"] = tokens_of(text)
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": version or request.model,
        "responseId": response_id(request),
    }


def decided(request: Request, probabilities: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """A Decisions response: question -> probability of each of its answers."""
    best = {name: max(p, key=p.__getitem__) for name, p in probabilities.items()}
    return {
        "answers": {
            name: {"type": "choice", "choice": best[name], "confidence": p[best[name]], "probabilities": dict(p)}
            for name, p in probabilities.items()
        },
        "usage": {"total_input_tokens": request.tokens, "total_output_tokens": 0, "total_tokens": request.tokens},
    }


def chatted(
    request: Request, text: str | None, *, finish: str = "stop", thoughts: int = 0, version: str | None = None
) -> dict[str, Any]:
    """A chat completion in OpenAI's protocol."""
    out = tokens_of(text) + thoughts
    return {
        "id": f"chatcmpl-{response_id(request)}",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": version or request.model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": finish}
        ],
        "usage": {
            "prompt_tokens": request.tokens,
            "completion_tokens": out,
            "total_tokens": request.tokens + out,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thoughts},
        },
    }


def response_id(request: Request) -> str:
    """Made from the request, so that equal requests can be told by their responses too."""
    return f"r{zlib.crc32(request.digest):08x}"


def tokens_of(text: str | None) -> int:
    """Output tokens, at four characters each."""
    return -(-len(text or "") // 4)


def pick(mapping: Mapping[str, Any], *names: str) -> Any:
    """The first of several spellings of a field that is there, else None."""
    return next((mapping[name] for name in names if name in mapping), None)


def _one_spelling(value: Any) -> Any:
    """Without underscores and capitals in names, and without what is null."""
    if isinstance(value, dict):
        return {k.replace("_", "").lower(): _one_spelling(v) for k, v in value.items() if v is not None}
    return [_one_spelling(v) for v in value] if isinstance(value, list) else value


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in (content or {}).get("parts", []))
