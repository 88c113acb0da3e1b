"""Venn-Abers: isotonic regression twice, once for each label the new row may have."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked, checked_p

Point = tuple[float, float]


@dataclass(frozen=True)
class VennAbers:
    """q = p1 / (1 - p0 + p1): the two isotonic answers, merged for log loss; non-decreasing.

    p0 and p1 are what isotonic regression says of a row once it has joined the fitted ones with label 0, and with
    label 1. Inductive Venn-Abers predictor: Vovk, Petej & Fedorova 2015, arXiv:1511.00213, sections 2-4. The pair
    (p0, p1) is valid in their sense; the merged q is a point between them, never 0 or 1. Wants as many rows as
    isotonic.

    Attributes:
        above0: (j,) p0 is rate0[i] where exactly i of these are <= p.
        rate0: (j + 1,) rising.
        above1: (k,) p1 is rate1[i] where exactly i of these are < p.
        rate1: (k + 1,) rising.

    >>> one = fit_venn_abers([0.5], [1])  # with label 1 beside it: 2 of 2, with label 0: 1 of 2
    >>> one([0.5]).round(4).tolist()  # 1 / (1 - 1/2 + 1)
    [0.6667]
    """

    above0: tuple[float, ...]
    rate0: tuple[float, ...]
    above1: tuple[float, ...]
    rate1: tuple[float, ...]
    name: ClassVar[str] = "venn_abers"

    def __call__(self, p: ArrayLike) -> FloatArray:
        low, high = self.bounds(p)
        return high / (1 - low + high)

    def bounds(self, p: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(p0, p1) of each p: how sure the calibration rows are; far apart where they are few."""
        p = checked_p(p)
        low = np.array(self.rate0)[np.searchsorted(self.above0, p, side="right")]
        return low, np.array(self.rate1)[np.searchsorted(self.above1, p, side="left")]


def fit_venn_abers(p: ArrayLike, y: ArrayLike) -> VennAbers:
    """Both step functions for all p at once, in O(n log n): algorithms 1 to 4 of the paper."""
    p, y = checked(p, y)
    x, group = np.unique(p, return_inverse=True)
    n = np.bincount(group).astype(np.float64)
    right = np.bincount(group, weights=y).astype(np.float64)
    # label 0 is label 1 seen in a mirror: scores and labels both reversed
    rate0 = 1 - _rates_with_one_right(n[::-1], (n - right)[::-1])[::-1]
    rate1 = _rates_with_one_right(n, right)
    return VennAbers(*_steps(x, np.append(0.0, rate0)), *_steps(x, np.append(rate1, 1.0)))


def _rates_with_one_right(n: FloatArray, right: FloatArray) -> FloatArray:
    """Isotonic regression's value at each score, had one more row of label 1 been there.

    In the cumulative sum diagram of groups with n rows and `right` ones among them, the new row is a step (1, 1) in
    front of its group. Moving it one group on only moves one point, by algorithm 2; the lower hull of the points to
    its right is kept as a stack with its left end on top, and the slope of its first edge is the value.
    """
    later = [(-1.0, -1.0), (0.0, 0.0), *zip(np.cumsum(n).tolist(), np.cumsum(right).tolist(), strict=True)]
    hull: list[Point] = []
    for point in reversed(later):
        _push(hull, point)
    rates = np.empty(len(n))
    for i, (x, y) in enumerate(later[2:]):
        first, second = hull[-1], hull[-2]
        rates[i] = (second[1] - first[1]) / (second[0] - first[0])
        moved = (x - 1, y - 1)
        if _turn(first, second, moved) < 0:
            hull.pop()
            _push(hull, moved)
    return rates


def _push(hull: list[Point], point: Point) -> None:
    """Put a new left end on the hull, after whatever it hides from below."""
    while len(hull) > 1 and _turn(point, hull[-1], hull[-2]) <= 0:
        hull.pop()
    hull.append(point)


def _turn(a: Point, b: Point, c: Point) -> float:
    """Above 0 where c lies left of (over) the line from a to b; exact, since all coordinates are whole numbers."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _steps(x: FloatArray, values: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Only the places where a step function steps: (k,) places and (k + 1,) values."""
    at = np.flatnonzero(np.diff(values))
    return tuple(x[at].tolist()), tuple(values[np.append(0, at + 1)].tolist())
