"""What the models of the server know, and how its judges grade."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.gemini_server.wire import Request

Respond = Callable[[Request], str]
# (query, references, answer) -> one of the judge's grades.
Grade = Callable[[str, list[str], str], str]

# Quoted material of a judge's prompt: name, code, text.
_QUOTED = re.compile(r"^--- begin ([A-Z ]+) (\w+) ---\n(.*?)\n--- end \1 \2 ---$", re.S | re.M)


class Answers:
    """Answers by query text, and grades for requests that ask for one of an enum.

    A request with a schema that holds an enum, or with questions, is a judge's: query, references and answer are taken
    out of its fences and graded. Anything else is a query: it is looked up by the whole prompt, then by each of its
    lines, then by what follows the first colon of a line.

    Args:
        known: query -> answer, or query -> {model: answer}.
        unknown: said to any other query; `{digest}` in it becomes eight characters that depend on the query.
        grade: of an answer; by words if None.
        confidence: of every judge.
    """

    def __init__(
        self,
        known: Mapping[str, str | Mapping[str, str]] = {},
        *,
        unknown: str = "answer {digest}",
        grade: Grade | None = None,
        confidence: float = 0.94,
    ) -> None:
        self.known, self.unknown, self.confidence = known, unknown, confidence
        self.grade = grade or same_words

    def __call__(self, request: Request) -> str:
        if request.questions:
            return json.dumps({name: self._chosen(request, name) for name in request.questions})
        properties: Mapping[str, Any] = (request.schema or {}).get("properties") or {}
        if grades := next((p["enum"] for p in properties.values() if "enum" in p), None):
            grade = self._graded(request.prompt, "ANSWER", grades)
            said = {"string": "compared by words", "number": self.confidence}
            return json.dumps({n: grade if "enum" in p else said.get(p.get("type")) for n, p in properties.items()})
        found = next((self.known[k] for k in _spellings(request.prompt) if k in self.known), None)
        if found is None:
            digest = hashlib.sha256(request.prompt.encode("utf-8", "replace")).hexdigest()[:8]
            return self.unknown.replace("{digest}", digest)
        return found if isinstance(found, str) else found[request.model]

    def _chosen(self, request: Request, name: str) -> dict[str, float]:
        """Probability of each choice; the question `answer_a` is about the material ANSWER A."""
        allowed = list(request.questions[name]["criteria"])
        best = self._graded(request.prompt, name.upper().replace("_", " "), allowed)
        rest = (1 - self.confidence) / (len(allowed) - 1)
        return {c: self.confidence if c == best else rest for c in allowed}

    def _graded(self, prompt: str, name: str, allowed: list[str]) -> str:
        material = quoted(prompt)
        query, answer = (material.get(n, [""])[0] for n in ("QUESTION", name))
        grade = self.grade(query, material.get("REFERENCE", []), answer)
        return grade if grade in allowed else allowed[-1]


def quoted(prompt: str) -> dict[str, list[str]]:
    """Fenced material by name, in order."""
    found: dict[str, list[str]] = {}
    for name, _, text in _QUOTED.findall(prompt):
        found.setdefault(name, []).append(text)
    return found


def same_words(query: str, references: list[str], answer: str) -> str:
    """Grade by words: all of a reference's among the answer's is CORRECT, silence is NOT_ATTEMPTED."""
    said = _words(answer)
    if not said or said in (["i", "do", "not", "know"], ["i", "don", "t", "know"], ["unknown"]):
        return "NOT_ATTEMPTED"
    return "CORRECT" if any((gold := _words(r)) and set(gold) <= set(said) for r in references) else "INCORRECT"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _spellings(prompt: str) -> list[str]:
    lines = [line.strip() for line in prompt.splitlines()]
    return [prompt, prompt.strip(), *lines, *(line.partition(":")[2].strip() for line in lines)]
