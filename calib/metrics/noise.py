"""The calibration error that is measured where there is none."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked_p
from routecal.calib.metrics.bin_counts import bin_index
from routecal.calib.metrics.replicates import chunk_sizes

# A bin whose number of right rows has at least this variance is redrawn as a whole, as a Gaussian.
MIN_VARIANCE = 400.0
# Below this many rows everything is redrawn row by row.
MIN_ROWS = 20_000


class NoiseFloor(NamedTuple):
    """What a perfectly calibrated p would measure: mean and central band of ECE over redrawn labels.

    At level .95 `low` and `high` are the 2.5% and the 97.5% quantile: such a p exceeds `high` on 2.5% of test sets.
    """

    mean: float
    low: float
    high: float


def noise_floor(
    p: ArrayLike, *, n_bins: int = 10, seed: int = 0, n_replicates: int = 1000, level: float = 0.95
) -> NoiseFloor:
    """ECE that this very p would measure if it were perfectly calibrated: labels are redrawn from p itself.

    An ECE up to `high` is no evidence of miscalibration; n is too small to tell. `ece_interval` then holds 0. Bröcker &
    Smith 2007 (consistency resampling), applied to ECE instead of single bins. From 20,000 rows on, the number of right
    rows in a bin is drawn as a Gaussian of the same mean and variance, where that variance is 400 or more; the rows of
    other bins are redrawn one by one.

    Args:
        p: (n,) confidence in [0, 1].
        n_bins: equal-width bins, rule as in `binned.ece`.
        seed: of the private generator.
        n_replicates: redraws.
        level: coverage of the central band; what is above it has (1 - level) / 2.

    Raises:
        InvalidProbability, TooFewExamples: see `calib.checks.checked_p`.

    >>> noise_floor([0.0, 1.0, 1.0])  # labels redrawn from certainties never miss
    NoiseFloor(mean=0.0, low=0.0, high=0.0)
    """
    p = checked_p(p)
    rng = np.random.default_rng(seed)
    b = bin_index(p, n_bins=n_bins)
    variance = np.bincount(b, weights=p * (1 - p), minlength=n_bins)
    whole = (variance >= MIN_VARIANCE) & (len(p) >= MIN_ROWS)
    single = ~whole[b]
    gaps = _gaps_of_rows(p[single], b[single], n_bins=n_bins, n_replicates=n_replicates, rng=rng)
    gaps[:, whole] = rng.standard_normal((n_replicates, int(whole.sum()))) * np.sqrt(variance[whole])
    values = np.abs(gaps).sum(axis=1) / len(p)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return NoiseFloor(mean=float(values.mean()), low=float(low), high=float(high))


def _gaps_of_rows(
    p: FloatArray, b: np.ndarray, *, n_bins: int, n_replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Right rows of each bin minus their expectation, (n_replicates, n_bins), each row redrawn."""
    if not len(p):
        return np.zeros((n_replicates, n_bins))
    bins = np.zeros((len(p), n_bins), np.float32)
    bins[np.arange(len(p)), b] = 1
    expected = p @ bins
    hits = [(rng.random((m, len(p))) < p).astype(np.float32) @ bins for m in chunk_sizes(len(p), n_replicates)]
    return np.asarray(np.concatenate(hits) - expected)
