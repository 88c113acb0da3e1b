"""Which nights' rows teach a head, which judge it, and how many are missing for a decision."""

import math
from collections.abc import Iterable

from routecal.calib.night.head_health import MIN_WINDOW, Health

# Held-out rows that heads are judged on where queries drifted: older ones tell of queries that come no more. Simulated
# (LOG.md, 2026-11-29): with 1,000 a sudden shift is answered in the fourth night, with these in the second.
DRIFTED_WINDOW = 2 * MIN_WINDOW


def may_teach(*, is_doubted: bool, is_accepted: bool) -> bool:
    """Whether a night's rows are learned from and judged on: not where its outcomes are doubted, unless a person
    promoted that night's candidate all the same and so settled the doubt.
    """
    return not is_doubted or is_accepted


def memory(rows: Iterable[int], *, at_most: int) -> int:
    """How many of the newest nights a head learns from: as many as have `at_most` rows together, at least one.

    Whole nights: which row of a night is newer means nothing.

    Args:
        rows: of each night, newest first.
        at_most: rows in all; the newest night may have more.

    >>> memory([300, 300, 300], at_most=600), memory([300, 300], at_most=599), memory([300], at_most=100)
    (2, 1, 1)
    """
    n = total = 0
    for more in rows:
        total += more
        if n and total > at_most:
            break
        n += 1
    return n


def window(rows: Iterable[int], *, at_least: int) -> int:
    """How many of the newest nights a head is judged on: as few as have `at_least` held-out rows, else all.

    Args:
        rows: held out of each night, newest first; no more are read than are needed.
        at_least: rows from which on no older night is asked for.

    >>> window([90, 90, 90], at_least=180), window([90, 90, 90], at_least=181), window([90], at_least=1000)
    (2, 3, 1)
    """
    n = total = 0
    for more in rows:
        n, total = n + 1, total + more
        if total >= at_least:
            break
    return n


def judged_on(asked: int, health: Health | None) -> int:
    """Rows from which on `window` asks for no older night: as many as were asked for, fewer where queries drifted.

    >>> judged_on(1000, None)
    1000
    """
    return min(asked, DRIFTED_WINDOW) if health is not None and health.drifted else asked


def missing(n: int, *, held_out_frac: float, needed: int = MIN_WINDOW) -> str | None:
    """What is missing for a decision, in words; None if nothing is.

    Args:
        n: held-out rows labelled so far.
        held_out_frac: share of queries that are held out, in (0, 1].
        needed: held-out rows that a decision takes.

    >>> missing(84, held_out_frac=0.3)
    '84 of the 100 held-out rows that a decision takes are labelled; about 60 more queries have to be'
    >>> missing(100, held_out_frac=0.3)
    """
    if n >= needed:
        return None
    more = math.ceil((needed - n) / held_out_frac / 10) * 10
    return f"{n} of the {needed} held-out rows that a decision takes are labelled; about {more} more queries have to be"
