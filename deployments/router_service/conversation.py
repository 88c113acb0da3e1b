"""Which text of a conversation is routed: a head was calibrated on single queries, and conversations are longer.

last_user   the newest message of the user that has a text (default): what is asked now, without what it refers to
first_user  the first one: the task; every turn of a conversation then goes the same way
all_user    all of them, oldest first, with blank lines between: what is asked now and what it refers to

Images, files and the words of assistants and tools are never read. A conversation whose newest turn is a tool's result
goes by the user's message before it.
"""

from collections.abc import Mapping
from typing import Any, Literal

Reads = Literal["last_user", "first_user", "all_user"]


class NoQuery(ValueError):
    """There is no text of a user in the conversation."""


def query_of(messages: object, reads: Reads) -> str:
    """The text that is routed.

    Args:
        messages: as a chat completion has them; anything else is refused in words.
        reads: see above.

    Raises:
        NoQuery: messages are of another kind, or no user says anything in words; says which.

    >>> query_of([{"role": "user", "content": [{"type": "text", "text": "Who?"}, {"type": "image_url"}]}], "last_user")
    'Who?'
    """
    if not isinstance(messages, list) or not messages:
        raise NoQuery("messages is no list of messages")
    texts = []
    for i, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise NoQuery(f"messages[{i}] has no role")
        if message["role"] == "user" and (text := text_of(message.get("content"))).strip():
            texts.append(text)
    if not texts:
        raise NoQuery("no message of the user holds text")
    return {"last_user": texts[-1], "first_user": texts[0], "all_user": "\n\n".join(texts)}[reads]


def text_of(content: Any) -> str:
    """The words of a message's content: a text, or the text parts of a list; others hold none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [p for p in content if isinstance(p, Mapping) and p.get("type") in ("text", "input_text")]
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def whole_text(text: str) -> str:
    """The text with half surrogate pairs, which no encoding of text has, shown as what they are: unknown.

    >>> whole_text("a\\ud800b")
    'a\ufffdb'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
