"""What can be promised instead, where a promise cannot be had: a looser level, or more labels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.promise.walks import Walk

# A promise that keeps fewer queries than this on the medium model saves next to nothing.
WORTHWHILE = 0.10

# Levels tried, in steps of about a tenth, to two digits.
_LEVELS = tuple(float(f"{level:.2g}") for level in np.geomspace(0.001, 0.5, 66))
# More labels than this are not counted up to.
_MOST = 20_000

# A walk with all arguments but its rows and its level: keep_at_most, harm_at_most or loss_at_most at one delta.
Walker = Callable[[ArrayLike, ArrayLike, float], Walk]


def smallest_level(walk: Walker, need: ArrayLike, events: ArrayLike, *, keep: float = WORTHWHILE) -> float | None:
    """The smallest level at which these rows let `keep` of the queries stay on the medium model; None up to a half.

    Halved down to: the next smaller of 66 levels does not. Searched on the rows that the promise would be made from, so
    a promise at this very level is made with a little more than delta of failing; it is meant for planning.
    """

    def reached(i: int) -> bool:
        return walk(need, events, _LEVELS[i]).kept >= keep

    low, high = -1, len(_LEVELS) - 1
    if not reached(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return _LEVELS[high]


def labels_needed(
    walk: Walker, need: ArrayLike, events: ArrayLike, level: float, *, keep: float = WORTHWHILE
) -> int | None:
    """About how many labels it would take to promise `level` for `keep` of the queries, if more were like these.

    The rows there are, counted several times: at that number the promise is as likely had as not. None where 20,000
    do not do it either: then the queries that look safest are not safe enough.
    """
    n = np.size(need)
    most = max(_MOST // n, 1)

    def enough(times: int) -> bool:
        return walk(np.tile(need, times), np.tile(events, times), level).kept >= keep

    times = 1
    while not enough(times):
        if times == most:
            return None
        times = min(2 * times, most)
    low = times // 2
    while times - low > 1:
        middle = (low + times) // 2
        low, times = (low, middle) if enough(middle) else (middle, times)
    return times * n
