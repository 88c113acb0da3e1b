"""One value of a user's file to one value of a column. All raise ValueError with the end of a sentence "x is y, …".

Missing is None, NaN, a blank text, and a text of nothing but characters that cannot be seen. "nan", "None" and "NA" are
texts: people write them, and may mean Namibia.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from routecal.storage.schemas import GRADES

# What can be seen neither, though Unicode calls it a letter, a mark or a symbol.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xFE00, 0xFE10)}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_BINARY_GRADES = {True: "CORRECT", False: "INCORRECT"}


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: white space, control and format characters, fillers.

    >>> is_blank(" \\u200b\\ufeff"), is_blank("?")
    (True, False)
    """
    # Nearly all texts begin with what can be seen, and there are millions. (A filler is alphanumeric to Python.)
    if text[:1].isascii() and text[:1].isalnum():
        return False
    return not text or text.isspace() or all(_is_unseen(c) for c in text)


def _is_unseen(c: str) -> bool:
    return c.isspace() or c in _UNSEEN or unicodedata.category(c) in ("Cc", "Cf")


def is_missing(value: object) -> bool:
    """Whether a value says that there is none: None, NaN of any type, or a blank text."""
    if isinstance(value, str):
        return is_blank(value)
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def text(value: object) -> str | None:
    """A text as it is, a number in plain digits, `true` or `false`; None if it is missing.

    A whole number has no decimal point, whatever its type: pandas keeps a column of counts that has a gap as floats.

    >>> text(18), text(18.0), text(0.10), text(True), text(" "), text(float("nan"))
    ('18', '18', '0.1', 'true', None, None)
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return _digits(value)
    raise ValueError("a text was expected")


def _digits(value: float | Decimal) -> str:
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        raise ValueError("a finite number or a text was expected; write it in words, as a text in quotes")
    if exact == 0:
        return "0"
    if abs(exact.adjusted()) > 40:
        return str(value)
    plain = format(exact, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def texts(value: object) -> list[str]:
    """The texts of a list, or of an answer as data sets of Hugging Face hold it; those that are missing are left out.

    >>> texts(["a", None, 2]), texts({"text": ["a", "b"], "answer_start": [0, 9]})
    (['a', '2'], ['a', 'b'])
    >>> texts({"value": "a", "aliases": ["a", "b"]})
    ['a', 'b']
    """
    if isinstance(value, Mapping):
        found = _answer(value)
    elif isinstance(value, list | tuple):
        found = [*value]
    else:
        raise ValueError("a list of texts was expected")
    return list(dict.fromkeys(t for item in found if (t := text(item)) is not None))


def _answer(value: Mapping[str, object]) -> list[object]:
    """SQuAD's {"text": [...]}, TriviaQA's {"value": ..., "aliases": [...]}."""
    listed, one, more = value.get("text"), value.get("value"), value.get("aliases")
    if isinstance(listed, list) and one is None:
        return listed
    if isinstance(one, str) and listed is None and (more is None or isinstance(more, list)):
        return [one, *(more or ())]
    raise ValueError('a text, a list of texts, {"text": [...]} or {"value": ..., "aliases": [...]} was expected')


def spellings(value: object) -> list[str] | None:
    """A list of texts; also from a JSON list, or from texts separated by "|", as one CSV cell holds them.

    >>> spellings('["a", "b"]'), spellings("a | b"), spellings([])
    (['a', 'b'], ['a', 'b'], None)
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        value = _json_list(value) if value.lstrip().startswith("[") else [part.strip() for part in value.split("|")]
    return texts(value) or None


def _json_list(cell: str) -> object:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise ValueError('a JSON list as ["a", "b"], or texts separated by | were expected') from None


def references(value: object) -> str | list[str] | None:
    """The reference of an answer, or several as a list, the one to grade against first.

    A text that looks like a list is a text: "[1, 2]" is what many a program prints.
    """
    return texts(value) or None if isinstance(value, list | tuple | Mapping) else text(value)


def word(text: str) -> str:
    """How a grade is compared: `not attempted` is `NOT_ATTEMPTED`."""
    return text.strip().upper().replace(" ", "_").replace("-", "_")


def grade(value: object) -> str:
    """One of `GRADES`: its name in any case, or true, 1, false or 0 for right and wrong.

    >>> grade("correct"), grade(False), grade("1"), grade("not attempted")
    ('CORRECT', 'INCORRECT', 'CORRECT', 'NOT_ATTEMPTED')
    """
    found: str | None = None
    if isinstance(value, str):
        level = word(value)
        known = {**dict(zip(GRADES, GRADES, strict=True)), "TRUE": "CORRECT", "FALSE": "INCORRECT"}
        found = known.get(level)
        if found is None and _NUMBER.fullmatch(level):
            found = _BINARY_GRADES.get(float(level))  # type: ignore[call-overload]
    elif isinstance(value, bool | int | float | Decimal):
        found = _BINARY_GRADES.get(value)  # type: ignore[call-overload]
    if found is None:
        raise ValueError(f"{', '.join(GRADES)}, or true or 1 and false or 0, were expected")
    return found


def number(value: object) -> float | None:
    """A finite number, also from the text of one; missing is absent, which is not 0."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise ValueError("a number was expected, with a decimal point and without units or currency")
    elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("a number was expected")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError("a number was expected") from None
    if not math.isfinite(found):
        raise ValueError("a finite number was expected; leave it out where it is unknown")
    return found


def amount(value: object) -> float | None:
    """A finite number of 0 or more, such as a price; missing is absent."""
    found = number(value)
    if found is not None and found < 0:
        raise ValueError("a number of 0 or more was expected; leave it out where it is unknown")
    # Minus nothing is nothing.
    return None if found is None else found + 0.0


def whole_number(value: object) -> int | None:
    """A whole number of 0 or more, such as a count of tokens; missing is absent."""
    found = amount(value)
    if found is not None and (not found.is_integer() or found >= 2**53):
        raise ValueError("a whole number was expected")
    return None if found is None else int(found)


def instant(value: object) -> datetime | None:
    """A moment in UTC from ISO 8601, or from a timestamp or a date of Parquet; without a zone it is taken as UTC.

    >>> instant("2026-11-22T16:00:00+01:00").isoformat()
    '2026-11-22T15:00:00+00:00'
    """
    if is_missing(value):
        return None
    try:
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        if isinstance(found, date) and not isinstance(found, datetime):
            found = datetime(found.year, found.month, found.day)
        if isinstance(found, datetime):
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a time like 2026-11-22T16:00:00Z was expected")
