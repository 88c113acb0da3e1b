"""What the models of the server know, and how its judge grades."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.gemini_server.wire import Request

Respond = Callable[[Request], str]
Grade = Callable[[str, str], str]  # (reference, answer) -> a value of the judge's enum


class Answers:
    """Answers by query text, and grades for requests that ask for one of an enum.

    A request with a schema that holds an enum, or with questions, is a judge's: `judge` takes (reference, answer) out
    of its text and grades them. Anything else is a query: it is looked up by the whole prompt, then by each of its
    lines, then by what follows the first colon of a line.

    Args:
        known: query -> answer, or query -> {model: answer}.
        unknown: said to any other query; `{digest}` in it becomes eight characters that depend on the query.
        fields: finds the reference and the answer to grade in a judge's prompt.
        grade: grades them.
    """

    def __init__(
        self,
        known: Mapping[str, str | Mapping[str, str]] = {},
        *,
        unknown: str = "answer {digest}",
        fields: Callable[[str], tuple[str, str]] | None = None,
        grade: Grade | None = None,
    ) -> None:
        self.known, self.unknown = known, unknown
        self.fields, self.grade = fields or tagged, grade or same_words

    def __call__(self, request: Request) -> str:
        if request.questions:
            return json.dumps({name: self._judged(request, q) for name, q in request.questions.items()})
        if (grades := enum_of(request.schema)) is not None:
            name, allowed = grades
            return json.dumps({name: self._allowed(self.grade(*self.fields(request.prompt)), allowed)})
        found = next((self.known[k] for k in _spellings(request.prompt) if k in self.known), None)
        if found is None:
            return self.unknown.replace(
                "{digest}", hashlib.sha256(request.prompt.encode("utf-8", "replace")).hexdigest()[:8]
            )
        return found if isinstance(found, str) else found[request.model]

    def _judged(self, request: Request, question: Mapping[str, Any]) -> dict[str, float]:
        """Probability of each choice: nearly all on the grade."""
        text = request.prompt + "\n" + json.dumps(question["instructions"])
        allowed = list(question["criteria"])
        best = self._allowed(self.grade(*self.fields(text)), allowed)
        return {c: 0.94 if c == best else 0.06 / (len(allowed) - 1) for c in allowed}

    @staticmethod
    def _allowed(grade: str, allowed: list[str]) -> str:
        return grade if grade in allowed else allowed[-1]


def enum_of(schema: Mapping[str, Any] | None) -> tuple[str, list[str]] | None:
    """The first property of an object schema that is an enum, with its values; None if there is none."""
    for name, value in ((schema or {}).get("properties") or {}).items():
        if "enum" in value:
            return name, list(value["enum"])
    return None


def tagged(text: str) -> tuple[str, str]:
    """Reference and answer, each between the first opening and the last closing tag of that name."""
    found = [re.search(rf"<({tag})[^>]*>(.*)</\1[^>]*>", text, re.S) for tag in ("reference|gold|correct", "answer")]
    return tuple(m[2].strip() if m else "" for m in found)  # type: ignore[return-value]


def same_words(reference: str, answer: str) -> str:
    """Grade by words: the reference's among the answer's is CORRECT, silence is NOT_ATTEMPTED."""
    said, gold = _words(answer), _words(reference)
    if not said or said in (["i", "do", "not", "know"], ["unknown"]):
        return "NOT_ATTEMPTED"
    return "CORRECT" if gold and set(gold) <= set(said) else "INCORRECT"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _spellings(prompt: str) -> list[str]:
    lines = [line.strip() for line in prompt.splitlines()]
    return [prompt, prompt.strip(), *lines, *(line.partition(":")[2].strip() for line in lines)]
