"""Which methods are first, and which only look so."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from routecal.calib.comparison.pooled import mean_over, tied_methods
from routecal.calib.comparison.resampled import Resampled, minus
from routecal.calib.metrics.bootstrap import Estimate


class Rank(NamedTuple):
    """Where a method stands over several sets.

    Attributes:
        method: its name.
        mean_rank: mean over sets of its rank by value alone, ties in value averaged.
        mean_tied_rank: mean over sets of 1 + how many methods are better by the paired interval: where the interval
            says tie, the rank says tie.
        behind: mean over sets of its value minus that of the method of the best mean rank, with a paired interval.
        is_first: it is that method, or ties with it.
    """

    method: str
    mean_rank: float
    mean_tied_rank: float
    behind: Estimate | None
    is_first: bool


def rank(
    found: Mapping[str, Sequence[Resampled]], *, seeds: Sequence[int], level: float = 0.95, lower_is_better: bool = True
) -> list[Rank]:
    """Methods over sets, the best mean rank first.

    Demsar 2006 (JMLR 7) averages ranks over data sets; its tests across sets ask for more sets than we have, so ties
    are told by intervals over queries and seeds instead. None is corrected for the number of comparisons.

    Args:
        found: per method, one entry per set, all of them paired.
        seeds: per set, see `mean_over`.
        level: coverage of the intervals.
        lower_is_better: direction of the metric.

    >>> a = Resampled(np.array([0.1]), np.array([[0.1, 0.1]]))
    >>> b = Resampled(np.array([0.2]), np.array([[0.2, 0.2]]))
    >>> [(r.method, r.mean_rank, r.is_first) for r in rank({"b": [b], "a": [a]}, seeds=[0])]
    [('a', 1.0, True), ('b', 2.0, False)]
    """
    sign = 1 if lower_is_better else -1
    values = np.array([[sign * one.value.mean() for one in sets] for sets in found.values()])  # (methods, sets)
    by_value = rankdata(values, axis=0)
    tied = {
        name: [
            1 + sum(_is_better(other[k], own[k], seeds[k], level, sign) for other in found.values())
            for k in range(len(seeds))
        ]
        for name, own in found.items()
    }
    order = sorted(range(len(found)), key=lambda i: (by_value[i].mean(), values[i].mean()))
    names = list(found)
    best = found[names[order[0]]]
    ranks = []
    for i in order:
        own = found[names[i]]
        behind = mean_over([minus(a, b) for a, b in zip(own, best, strict=True)], seeds=seeds, level=level)
        ranks.append(
            Rank(names[i], float(by_value[i].mean()), float(np.mean(tied[names[i]])), behind, tied_methods(behind))
        )
    return ranks


def _is_better(a: Resampled, b: Resampled, seed: int, level: float, sign: int) -> bool:
    """Whether a is better than b by the paired interval."""
    difference = mean_over([minus(a, b)], seeds=[seed], level=level)
    return difference is not None and not tied_methods(difference) and sign * difference.value < 0
