"""Who a query is: its id, the split it belongs to, and its share of the unit interval.

All of it follows from the text (the id also from the context), so every run and every machine agrees. (The Unicode
tables are Python's: a new Python may classify a character that is new to it differently; no character already assigned
moves.)
"""

import hashlib
import json
import re
import unicodedata

FRACTIONS = {"train": 0.40, "calibration": 0.15, "validation": 0.15, "test": 0.30}
SPLITS = tuple(FRACTIONS)

# English articles and forms of "to be", with what an apostrophe leaves of them ("what's", "they're", "I'm").
_DROPPED = frozenset({"a", "an", "the", "is", "are", "was", "were", "be", "been", "am", "s", "re", "m"})
_WORD = re.compile(r"[^\W_]+")
_ROUGH = re.compile(r"[0-9a-f]{16}")
# \s is Unicode white space. A byte-order mark is what editors leave where files were put together.
_OUTER = re.compile(r"\A[\s\ufeff]+|[\s\ufeff]+\Z")
# Written out: a running sum of the fractions would end at 0.9999999999999999.
_BOUNDS = (("train", 0.40), ("calibration", 0.55), ("validation", 0.70), ("test", 1.0))


def normalise(text: str) -> str:
    """The text with Unicode forms, case and white space levelled; applying it twice changes nothing more.

    >>> normalise("  What IS ﬁne? ")
    'what is fine?'
    """
    if text.isascii():
        return " ".join(text.lower().split())
    # Folding the case can undo the normal form, hence the second pass.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def query_id(text: str, context: str | None = None) -> str:
    """32 hexadecimal digits that name the query: 16 are its `rough_id`, 16 are of all that can change an answer.

    That is everything but the Unicode form (NFC) and outer white space: case, inner space, line ends, digits of any
    kind and characters without width all count, and so does the context. Ids sort as their rough halves do, so that
    examples keep the order that they had when the rough half was the whole id.

    >>> query_id("What is 2+2?\\n") == query_id("What is 2+2?")
    True
    >>> query_id("5 mW?") == query_id("5 MW?"), query_id("5 mW?")[:16] == query_id("5 MW?")[:16]
    (False, True)
    """
    # A list, because no separator could be told from the same character in a text.
    exact = json.dumps([_exact(text), _exact(context or "")])
    return rough_id(_exact(text)) + hashlib.sha256(exact.encode()).hexdigest()[:16]


def rough_id(text: str) -> str:
    """16 hexadecimal digits: equal for texts that are equal once normalised.

    The first half of an id. Routecal 0.1 knew queries by it alone: files that it wrote hold it in place of an id.

    >>> rough_id("What is 2+2?") == rough_id(" what is  2+2?")
    True
    """
    return hashlib.sha256(normalise(text).encode()).hexdigest()[:16]


def rough_half(query_id: str) -> str:
    """The rough id in an id; an id of 0.1 as it is."""
    return query_id[:16]


def is_rough(query_id: str) -> bool:
    """Whether an id is one of 0.1: it cannot tell texts apart that are equal once normalised."""
    return _ROUGH.fullmatch(query_id) is not None


def _exact(text: str) -> str:
    """Composed, and without white space and byte-order marks around it."""
    composed = unicodedata.normalize("NFC", text).strip()
    return _OUTER.sub("", composed) if "\ufeff" in composed else composed


def signature(text: str) -> str:
    """What near-identical queries have in common: their set of words, without accents, articles and forms of "to be".

    The order of words is lost on purpose. A text without any other word is its own signature.

    >>> signature("What's the capital of France?")
    'capital france of what'
    """
    level = normalise(text)
    plain = level
    if not level.isascii():
        decomposed = unicodedata.normalize("NFKD", level)
        plain = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    words = set(_WORD.findall(plain)) - _DROPPED
    return " ".join(sorted(words)) or level


def share_of(text: str, salt: str) -> float:
    """A number in [0, 1), uniform over signatures, independent for every `salt`; near-identical queries share it."""
    digest = hashlib.sha256(f"{salt}\0{signature(text)}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def split_of(text: str) -> str:
    """The split of a query, one of `SPLITS` in the proportions of `FRACTIONS`; near-identical queries share it."""
    share = share_of(text, "split")
    return next(name for name, bound in _BOUNDS if share < bound)
