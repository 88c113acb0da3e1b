"""The prompt files of `tasks/oracle/prompts/`: their texts, their versions, and how their places are filled.

Texts of others inside a prompt are fenced, so that they cannot leave their place. A fence line carries a code that is
derived from everything the prompt quotes and occurs in none of it. Whoever writes an answer cannot know the code, as
it depends on the answer: a line that looks like a fence inside it is just text.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

# Which prompt each of the two models of the local oracle answers with.
BOOKS = {"medium": "closed_book", "large": "open_book"}


@cache
def prompt(name: str) -> str:
    """The text of a prompt file of this package.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return (files("routecal.tasks.oracle") / "prompts" / f"{name}.txt").read_text(encoding="utf-8")


@cache
def version(name: str, *others: str) -> str:
    """Name and digest of a prompt made of one or more files: `judge@` and eight hexadecimal digits.

    Args:
        name: the file whose name people know the prompt by.
        others: further files that are part of it.
    """
    text = "\0".join(prompt(part) for part in (name, *others))
    return f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def prompts_sha256() -> str:
    """Digest of both prompts of the local oracle, which is part of what makes its labels."""
    return hashlib.sha256("\0".join(prompt(book) for book in BOOKS.values()).encode()).hexdigest()


def fill(template: str, fields: Mapping[str, str]) -> str:
    """The template with `{name}` replaced for every name of `fields`, all in one pass.

    What is put in is never looked at again, so a value may itself hold `{name}`, other braces or backslashes. Braces
    around anything else stay as they are.

    >>> fill("{a} and {b} {c}", {"a": "{b}", "b": "2"})
    '{b} and 2 {c}'
    """
    places = "|".join(re.escape("{" + name + "}") for name in fields)
    return re.sub(places, lambda place: fields[place[0][1:-1]], template) if places else template


def sections(name: str) -> dict[str, str]:
    """The parts of a prompt file that is divided by lines of the form `[title]`: title -> text, without outer space.

    Raises:
        FileNotFoundError: there is no such file.
    """
    _, *parts = re.split(r"^\[([A-Za-z_]+)\]$", prompt(name), flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)}


CODE_LENGTH = 16


def fence_code(texts: Sequence[str]) -> str:
    """Sixteen hexadecimal digits that depend on all of `texts`, their order included, and occur in none of them.

    The same texts always get the same code, or a prompt would have another key each time.
    """
    folded = [text.casefold() for text in texts]
    attempt = 0
    while any((code := _digest(texts, attempt)) in text for text in folded):
        attempt += 1
    return code


def fenced(name: str, text: str, code: str) -> str:
    """The text, exactly as it is, between its two fence lines.

    Args:
        name: what people and models call it: `ANSWER`.
        text: anything.
        code: from `fence_code` over all the texts of the prompt.
    """
    return f"--- begin {name} {code} ---\n{text}\n--- end {name} {code} ---"


def _digest(texts: Sequence[str], attempt: int) -> str:
    # ASCII JSON tells ["a", "b"] from ["ab"] and has bytes for every string.
    content = json.dumps([attempt, *texts], ensure_ascii=True)
    return hashlib.sha256(content.encode("ascii")).hexdigest()[:CODE_LENGTH]
