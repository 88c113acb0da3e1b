"""Texts that others wrote, on their way to people: names of files and columns, ids, topics."""

import re

# C0, DEL and C1 (some terminals take 0x9b for ESC [), and what reorders the line it stands in.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str, *, at_most: int = 2000) -> str:
    r"""The text on one line, control characters as Python spells them, cut where it is endless.

    >>> plain("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    >>> plain("ab" * 9, at_most=5)
    'abab…'
    """
    text = text if len(text) <= at_most else text[: at_most - 1] + "…"
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
