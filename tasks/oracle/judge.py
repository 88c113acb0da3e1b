"""Grading of short answers by normalised match."""

import re
import unicodedata
from collections.abc import Iterable

from calib.policy import Grade

# What a model says instead of an answer. Whole answers only: "unknown" inside a longer answer is not silence.
NO_ANSWER = {"", "unknown", "i do not know", "i dont know", "not known", "none", "na", "n a", "no answer", "unsure"}

# Letters that Unicode does not take apart into a plain one and an accent.
_PLAIN = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})


def normalise_answer(text: str) -> str:
    """Letters and digits of an answer, without case, accents, articles, punctuation and spacing differences.

    A leading plus or dot is kept out too: calling codes and domains compare by their digits and letters.

    >>> normalise_answer(" The  São Tomé. ")
    'sao tome'
    """
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN)) if not unicodedata.combining(c)
    )
    words = re.sub(r"[^\w\s]|_", " ", plain.replace("'", "").replace("’", "")).split()
    return " ".join(words[1:] if words[:1] in (["the"], ["a"], ["an"]) and len(words) > 1 else words)


def grade_short_answer(answer: str, accepted: Iterable[str]) -> Grade:
    """Grade one answer against every accepted spelling.

    Only whole answers match: a reference found inside a longer answer proves nothing ("not Paris" holds "Paris").
    What is accepted is never silence, whatever it looks like: ".na" is Namibia's internet domain.

    >>> grade_short_answer("The Netherlands", ["Netherlands"]).value
    'CORRECT'
    >>> grade_short_answer("I don't know.", ["Netherlands"]).value
    'NOT_ATTEMPTED'
    """
    said = normalise_answer(answer)
    if said and said in {normalise_answer(a) for a in accepted}:
        return Grade.CORRECT
    return Grade.NOT_ATTEMPTED if said in NO_ANSWER else Grade.INCORRECT
