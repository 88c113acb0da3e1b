"""Grading of short answers by normalised match, and the stricter match that may stand in for a judge."""

import re
import unicodedata
from collections.abc import Iterable

from routecal.calib.policy import Grade

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


# Punctuation that changes no meaning between letters. Between digits all of it may.
_HARMLESS = frozenset(" \t\n.,;:!?'\"()‘’“”-–—…")


def is_exact(answer: str, accepted: Iterable[str], *, max_words: int = 12) -> bool:
    """Whether a short answer is, as a whole, one of the accepted ones.

    Built to never take a wrong answer for a right one; what it does not know goes to a judge. Case, outer punctuation
    and a leading article are ignored. Accents and inner punctuation are ignored only where both sides are Latin letters
    and harmless punctuation alone: they carry the meaning of "-5", "$50", "C++", "1.5" and of most other scripts.

    Args:
        answer: what a model said.
        accepted: references; blank ones match nothing.
        max_words: a longer answer is no match.

    >>> is_exact("The Netherlands.", ["Netherlands"])
    True
    >>> is_exact("40", ["-40"])
    False
    """
    if len(answer.split()) > max_words:
        return False
    return any(_same(answer, reference) for reference in accepted)


def _same(answer: str, reference: str) -> bool:
    if _is_plain(answer) and _is_plain(reference):
        said = normalise_answer(answer)
        return bool(said) and said == normalise_answer(reference)
    said = _trimmed(answer)
    return bool(said) and said == _trimmed(reference)


def _is_plain(text: str) -> bool:
    """Latin letters, with or without accents, and harmless punctuation."""
    letters = [c for c in text if c not in _HARMLESS]
    return all(unicodedata.name(c, "").startswith(("LATIN ", "COMBINING ")) and not c.isdigit() for c in letters)


def _trimmed(text: str) -> str:
    """Composed and caseless, without outer space, a final full stop, a leading article, and runs of spaces."""
    words = unicodedata.normalize("NFC", text.casefold()).strip().removesuffix(".").split()
    return " ".join(words[1:] if words[:1] in (["the"], ["a"], ["an"]) and len(words) > 1 else words)
