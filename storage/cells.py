"""One value of a user's file to one value of a column. All raise ValueError with the end of a sentence "x is y, …"."""

import json
import math
from datetime import UTC, datetime


def text(value: object) -> str | None:
    """A text as it is, a number as written; blank means absent.

    >>> text(18), text(" ")
    ('18', None)
    """
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a text was expected")
    return str(value)


def spellings(value: object) -> list[str] | None:
    """A list of texts; also from a JSON list, or from texts separated by "|", as one CSV cell holds them.

    >>> spellings('["a", "b"]'), spellings("a | b"), spellings([])
    (['a', 'b'], ['a', 'b'], None)
    """
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith("[") else [part.strip() for part in value.split("|")]
    if not isinstance(value, list):
        raise ValueError("a list of texts was expected")
    return [t for item in value if item is not None and (t := text(item)) is not None] or None


def number(value: object) -> float | None:
    """A finite number, also from the text of one; blank means absent, which is not 0."""
    if isinstance(value, str):
        if not value.strip():
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number was expected")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError("a number was expected") from None
    if not math.isfinite(found):
        raise ValueError("a finite number was expected; leave it out where it is unknown")
    return found


def whole_number(value: object) -> int | None:
    """A whole number such as a count of tokens; blank means absent."""
    found = number(value)
    if found is not None and (not found.is_integer() or abs(found) >= 2**53):
        raise ValueError("a whole number was expected")
    return None if found is None else int(found)


def instant(value: object) -> datetime | None:
    """A moment in UTC from ISO 8601, or from a timestamp of Parquet; without a zone it is taken as UTC.

    >>> instant("2026-11-22T16:00:00+01:00").isoformat()
    '2026-11-22T15:00:00+00:00'
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("a time like 2026-11-22T16:00:00Z was expected") from None
    if not isinstance(value, datetime):
        raise ValueError("a time like 2026-11-22T16:00:00Z was expected")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
