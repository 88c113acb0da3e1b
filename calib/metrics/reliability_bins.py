"""The bins behind a reliability diagram."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.metrics.bin_counts import bin_sums


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
        n_bins: equal-width bins, rule as in `cells`.
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
