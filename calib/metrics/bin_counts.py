"""What every binned metric and diagram needs of (p, y): how many rows each cell (bin, y) holds, and their sum of p.

One bin rule everywhere: of B equal-width bins, bin b is [b/B, (b+1)/B), and the last also holds p = 1.
Others put p = 1 nowhere or into a bin of its own; confidences pile up on exactly those values.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray, checked
from routecal.calib.errors import OutOfRange

# Rows at a time: few enough that their arrays stay in the caches, enough that two threads seldom wait for each other.
CHUNK = 1 << 17
# Rows from which on two threads share them. A third would not help: `bincount` holds the interpreter's lock.
SHARED = 16 * CHUNK


class BinSums(NamedTuple):
    """Sums over the rows of each bin, (b,)."""

    n: FloatArray
    y: FloatArray
    p: FloatArray

    @property
    def gap(self) -> FloatArray:
        """Mean p minus mean y of each bin, 0 where it is empty."""
        return (self.p - self.y) / np.maximum(self.n, 1)


def bin_index(p: FloatArray, *, n_bins: int) -> NDArray[np.int64]:
    """Bin of each entry of p (n,), by the rule at the top of this file.

    Compares with the edges b/B, since p*B rounds: 0.29 * 100 < 29. The product with a little more than B is never too
    small and at most one bin too large, and that only just above a whole number: where no product of these rows is
    there, which is usual, nothing needs to be compared.

    >>> bin_index(np.array([0.0, 0.5, 0.99, 1.0]), n_bins=10).tolist()
    [0, 5, 9, 9]
    """
    product = p * (n_bins * (1 + 2.0**-50))
    b = np.floor(product)
    product -= b
    if len(p) and product.min() < n_bins * 2.0**-48:
        edges = np.arange(n_bins + 1) / n_bins
        edges[-1] = np.inf
        b -= p < edges.take(b.astype(np.int64))
    return b.astype(np.int64)


def bin_sums(p: ArrayLike, y: ArrayLike, *, n_bins: int) -> BinSums:
    """Rows, right rows and sum of p per equal-width bin, in one pass over rows that are checked on the way.

    Entries of float32 are converted one by one, without rounding: the p of a float32 .7 is .699999988, in bin 6 of 10.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        OutOfRange: n_bins is below 1.

    >>> sums = bin_sums([0.25, 0.25, 0.75, 1.0], [0, 1, 1, 1], n_bins=2)
    >>> sums.n.tolist(), sums.y.tolist(), sums.p.tolist()
    ([2.0, 2.0], [1.0, 2.0], [0.5, 1.75])
    """
    if n_bins < 1:
        raise OutOfRange("n_bins", n_bins, "at least 1")
    p, y = np.asarray(p), np.asarray(y)
    if p.ndim != 1 or p.shape != y.shape or not len(p) or p.dtype.kind != "f" or y.dtype.kind not in "biuf":
        p, y = checked(p, y)
    if len(p) < SHARED:
        parts = [_cell_sums(p, y, n_bins)]
    else:
        middle = len(p) // 2
        with ThreadPoolExecutor(1) as other:
            second = other.submit(_cell_sums, p[middle:], y[middle:], n_bins)
            parts = [_cell_sums(p[:middle], y[:middle], n_bins), second.result()]
    if None in parts:
        checked(p, y)  # says what is wrong, and in which row
    n, sum_p = (np.sum(sums, axis=0).reshape(n_bins, 2) for sums in zip(*filter(None, parts), strict=True))
    return BinSums(n=n.sum(axis=1, dtype=np.float64), y=n[:, 1].astype(np.float64), p=sum_p.sum(axis=1))


def _cell_sums(p: NDArray[Any], y: NDArray[Any], n_bins: int) -> tuple[NDArray[np.int64], FloatArray] | None:
    """Rows and sum of p per cell 2 bin + y, (2 n_bins,); None if a row is not what it should be."""
    n, sum_p = np.zeros(2 * n_bins, np.int64), np.zeros(2 * n_bins)
    for start in range(0, len(p), CHUNK):
        p_part, y_part = p[start : start + CHUNK].astype(np.float64, copy=False), y[start : start + CHUNK]
        if not (p_part.min() >= 0 and p_part.max() <= 1 and _is_binary(y_part)):
            return None
        cell = bin_index(p_part, n_bins=n_bins)
        cell += cell
        cell += y_part.astype(np.int64, copy=False)
        n += np.bincount(cell, minlength=2 * n_bins)
        sum_p += np.bincount(cell, weights=p_part, minlength=2 * n_bins)
    return n, sum_p


def _is_binary(y: NDArray[Any]) -> bool:
    if y.dtype.kind in "iu":
        return bool(y.min() >= 0 and y.max() <= 1)
    return y.dtype.kind == "b" or bool(((y == 0) | (y == 1)).all())


@dataclass(frozen=True)
class ReliabilityBins:
    """The non-empty bins, in order.

    Attributes:
        index: (b,) int64, which of the n_bins equal-width bins this is.
        n: (b,) int64, rows in the bin, at least 1.
        mean_p: (b,) mean confidence, in [0, 1].
        accuracy: (b,) fraction of rows with y = 1.
        low: (b,) lower end of the Wilson interval of `accuracy`.
        high: (b,) upper end.
    """

    index: NDArray[np.int64]
    n: NDArray[np.int64]
    mean_p: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray


def wilson(k: FloatArray, n: FloatArray, *, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Wilson score interval of k successes in n trials, n >= 1; stays inside [0, 1] and is never of width 0.

        (f + z²/2n ± z sqrt(f(1-f)/n + z²/4n²)) / (1 + z²/n),  f = k/n

    Wilson 1927.

    >>> low, high = wilson(np.array([5.0]), np.array([10.0]))
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.2366, 0.7634)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    f = k / n
    centre = (f + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(f * (1 - f) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def reliability_bins(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10, level: float = 0.95) -> ReliabilityBins:
    """Count, mean confidence and accuracy with its interval, per non-empty bin.

    The intervals are per bin, not simultaneous: with ten bins expect one in two diagrams to have a bin off the diagonal
    by chance at level .95 even when calibration is perfect.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        n_bins: equal-width bins, rule at the top of this file.
        level: coverage of the Wilson interval of each bin's accuracy.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        OutOfRange: n_bins is below 1.

    >>> bins = reliability_bins([0.0, 0.5, 1.0], [0, 0, 1], n_bins=2)
    >>> bins.n.tolist(), bins.mean_p.tolist(), bins.accuracy.tolist()
    ([1, 2], [0.0, 0.75], [0.0, 0.5])
    """
    sums = bin_sums(p, y, n_bins=n_bins)
    index = np.flatnonzero(sums.n)
    n, hits = sums.n[index], sums.y[index]
    low, high = wilson(hits, n, level=level)
    return ReliabilityBins(
        index=index.astype(np.int64),
        n=n.astype(np.int64),
        mean_p=sums.p[index] / n,
        accuracy=hits / n,
        low=low,
        high=high,
    )
