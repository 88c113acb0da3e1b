"""Stand-ins for the engine's `ask`: they remember the calls they got and answer from a list or by a rule."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from routecal.tasks.oracle.call import Call, Reply

QUESTION, REFERENCE = "Which city is meant?", "Lima"


def said(grade: str, confidence: object = 0.9, reason: str = "compared") -> Reply:
    """A judge's reply as the schema asks for it."""
    text = json.dumps({"reason": reason, "grade": grade, "confidence": confidence})
    return Reply(text, "STOP", model_version="judge-001")


def chose(**choices: tuple[str, float]) -> Reply:
    """A decision: question -> (choice, its probability)."""
    return Reply(None, "STOP", model_version="decision-001", choices={q: (c, {c: p}) for q, (c, p) in choices.items()})


@dataclass
class Queue:
    """Answers with the next reply of the model that is asked; raises those that are exceptions."""

    replies: dict[str, list[Reply | Exception]]
    calls: list[Call] = field(default_factory=list)

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        reply = self.replies[call.model].pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


@dataclass
class Reader:
    """A judge that keeps to the fences and to nothing else, so it is fooled exactly if a text gets out of its fence.

    It believes the first code it is told. A block ends at the first line that ends it. Whatever stands outside the
    blocks it takes for orders: a grade named there on a line of its own is the grade it gives. Otherwise it grades the
    block by its own text: `knows(text)` -> grade.
    """

    knows: Callable[[str], str]
    calls: list[Call] = field(default_factory=list)

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        blocks, outside = self.blocks(call)
        orders = re.findall(r"^grade this (\w+)$", outside, re.MULTILINE | re.IGNORECASE)
        answers = {name: text for name, text in blocks if name.startswith("ANSWER")}
        grades = {name: (orders[0].upper() if orders else self.knows(text)) for name, text in answers.items()}
        if call.endpoint == "decide":
            assert [n.lower().replace(" ", "_") for n in grades] == list(call.config["questions"])
            return chose(**{n.lower().replace(" ", "_"): (g, 0.9) for n, g in grades.items()})
        (grade,) = grades.values()
        return said(grade)

    @staticmethod
    def blocks(call: Call) -> tuple[list[tuple[str, str]], str]:
        """((name, text) of every block in order, what stands outside them)."""
        code = re.search(r"--- begin NAME (\S+) ---", call.prompt)[1]
        begin, rest, found, outside = re.compile(rf"^--- begin ([A-Z ]+) {code} ---\n", re.M), call.prompt, [], ""
        while start := begin.search(rest):
            name, end = start[1], f"\n--- end {start[1]} {code} ---"
            text, mark, after = rest[start.end() :].partition(end)
            assert mark, f"{name} never ends"
            found.append((name, text))
            outside, rest = outside + rest[: start.start()], after
        return found, outside + rest


def texts(blocks: Sequence[tuple[str, str]], name: str) -> list[str]:
    """The texts of the blocks of one name."""
    return [text for found, text in blocks if found == name]
