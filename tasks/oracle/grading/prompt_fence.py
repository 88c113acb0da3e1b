"""Text of others inside our prompts, fenced so that it cannot leave its place.

A fence line carries a code that is derived from everything the prompt quotes and occurs in none of it. Whoever writes
an answer cannot know the code, as it depends on the answer: a line that looks like a fence inside it is just text.
"""

import hashlib
import json
from collections.abc import Sequence

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
