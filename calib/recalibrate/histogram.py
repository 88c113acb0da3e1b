"""Histogram binning: one value per bin; kept for comparison."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked, checked_p

MOST_BINS = 15
ROWS_PER_BIN = 10


@dataclass(frozen=True)
class Histogram:
    """The accuracy of the bin that p falls into; non-decreasing.

    Zadrozny & Elkan 2001 (ICML). Never chosen by default: of 832 binary runs in CalArena it had the best ECE, which
    rewards flat steps, and the worst Brier score but one.

    Attributes:
        edges: (b - 1,) inner edges; bin b is [edges[b-1], edges[b]).
        q: (b,) the value of each bin.

    >>> Histogram(edges=(0.5,), q=(0.2, 0.7))([0.49, 0.5]).tolist()
    [0.2, 0.7]
    """

    edges: tuple[float, ...]
    q: tuple[float, ...]
    name: ClassVar[str] = "histogram"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return np.array(self.q)[np.searchsorted(self.edges, checked_p(p), side="right")]


def fit_histogram(p: ArrayLike, y: ArrayLike) -> Histogram:
    """Accuracy in up to 15 bins of equal mass and at least 10 rows, with one more row that is as right as it says.

        q_b = (sum of y in b + mean of p in b) / (n_b + 1),  neighbours that fall pooled until they rise

    Departs from the paper by that one row, which keeps q off 0 and 1, and by the pooling, which keeps the ranking.

    >>> fit_histogram([0.5], [1]).q  # (1 + .5) / 2
    (0.75,)
    """
    from scipy.optimize import isotonic_regression

    p, y = checked(p, y)
    bins = max(1, min(MOST_BINS, len(p) // ROWS_PER_BIN))
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins, method="higher"))
    edges = edges[edges > p.min()]
    inside = np.searchsorted(edges, p, side="right")
    n = np.bincount(inside)
    q = (np.bincount(inside, weights=y) + np.bincount(inside, weights=p) / n) / (n + 1)
    pooled = isotonic_regression(q, weights=n + 1.0).x
    return Histogram(tuple(edges.tolist()), tuple(pooled.tolist()))
