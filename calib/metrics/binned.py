"""Binned calibration: the expected calibration error and the bins behind a reliability diagram.

One bin rule everywhere: of B equal-width bins, bin b is [b/B, (b+1)/B), and the last also holds p = 1.
Others put p = 1 nowhere or into a bin of its own; confidences pile up on exactly those values.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib.checks import FloatArray, checked


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


def bin_index(p: FloatArray, *, n_bins: int) -> NDArray[np.int64]:
    """Bin of each entry of p (n,), by the rule at the top of this file.

    Compares with the edges b/B instead of flooring p*B, which rounds: 0.29 * 100 < 29.

    >>> bin_index(np.array([0.0, 0.5, 0.99, 1.0]), n_bins=10).tolist()
    [0, 5, 9, 9]
    """
    inner = np.arange(1, n_bins) / n_bins
    return np.searchsorted(inner, p, side="right").astype(np.int64)


def ece(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10) -> float:
    """Expected calibration error with equal-width bins.

        ECE = sum_b (n_b / n) * |mean(y in b) - mean(p in b)|

    Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599. Departs from METHOD.md's `compute_ece`, which drops p = 1.
    Biased upward at small n: a perfectly calibrated p measures about .036 at n = 500 and .026 at n = 1,000, so read it
    beside `bootstrap.noise_floor`. A constant at the base rate has ECE 0: read it beside Brier skill and AUROC too.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}, 1 where the router's policy was right.
        n_bins: bin b is [b/n_bins, (b+1)/n_bins); the last also holds p = 1.

    Returns:
        A fraction in [0, 1] (0.05 = five points off), not a percentage.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> ece([0.25, 0.25, 0.75, 1.0], [0, 1, 1, 1], n_bins=2)
    0.1875
    """
    p, y = checked(p, y)
    gap = np.bincount(bin_index(p, n_bins=n_bins), weights=y - p, minlength=n_bins)
    return float(np.abs(gap).sum() / len(p))


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
        n_bins: equal-width bins, rule as in `ece`.
        level: coverage of the Wilson interval of each bin's accuracy.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> bins = reliability_bins([0.0, 0.5, 1.0], [0, 0, 1], n_bins=2)
    >>> bins.n.tolist(), bins.mean_p.tolist(), bins.accuracy.tolist()
    ([1, 2], [0.0, 0.75], [0.0, 0.5])
    """
    p, y = checked(p, y)
    b = bin_index(p, n_bins=n_bins)
    n = np.bincount(b, minlength=n_bins)
    index = np.flatnonzero(n)
    count = n[index].astype(np.float64)
    hits = np.bincount(b, weights=y, minlength=n_bins)[index].astype(np.float64)
    mean_p = np.bincount(b, weights=p, minlength=n_bins)[index] / count
    low, high = wilson(hits, count, level=level)
    return ReliabilityBins(
        index=index.astype(np.int64), n=n[index], mean_p=mean_p, accuracy=hits / count, low=low, high=high
    )
