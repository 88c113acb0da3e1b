"""What the Brier score is made of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import checked
from routecal.calib.metrics.bin_counts import BinSums, bin_sums


class BrierParts(NamedTuple):
    """Brier = reliability - resolution + uncertainty + variance_within - covariance_within, exactly.

    Attributes:
        brier: the score itself.
        reliability: sum_b (n_b/n) (p̄_b - ȳ_b)²; miscalibration, lower is better.
        resolution: sum_b (n_b/n) (ȳ_b - ȳ)²; what the bins tell apart, higher is better.
        uncertainty: ȳ (1 - ȳ); the score of the best constant, no matter of the method.
        variance_within: (1/n) sum_i (p_i - p̄_b(i))².
        covariance_within: (2/n) sum_i (y_i - ȳ_b(i)) (p_i - p̄_b(i)).
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    variance_within: float
    covariance_within: float


def brier_parts(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10) -> BrierParts:
    """Murphy's decomposition of the Brier score, with the two terms that make it exact for p that vary within a bin.

    Murphy 1973; the within-bin terms: Stephenson, Coelho & Jolliffe 2008. What resolution a method has within bins is
    covariance_within - variance_within: add it to resolution to compare methods whose p take different values.
    Reliability is the square of `ece` with norm 2, and as biased at small n.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        n_bins: equal-width bins, rule as in `bin_counts`.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        OutOfRange: n_bins is below 1.

    >>> brier_parts([0.25, 0.75, 0.75, 0.75], [0, 1, 1, 0], n_bins=2)  # one value per bin: nothing within
    BrierParts(brier=0.1875, reliability=0.020833333333333332, resolution=0.08333333333333333, uncertainty=0.25, \
variance_within=0.0, covariance_within=0.0)
    """
    p, y = checked(p, y)
    sums = bin_sums(p, y, n_bins=n_bins)
    n = np.maximum(sums.n, 1)
    return BrierParts(
        brier=float(np.mean((p - y) ** 2)),
        reliability=_reliability(sums),
        resolution=_resolution(sums),
        uncertainty=float(y.mean() * (1 - y.mean())),
        variance_within=float((p @ p - (sums.p**2 / n).sum()) / len(p)),
        covariance_within=float(2 * (y @ p - (sums.p * sums.y / n).sum()) / len(p)),
    )


def brier_reliability(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10) -> float:
    """The part of the Brier score that is miscalibration, as in `brier_parts`; lower is better.

    >>> brier_reliability([0.5, 0.5], [1, 1])
    0.25
    """
    return _reliability(bin_sums(p, y, n_bins=n_bins))


def brier_resolution(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10) -> float:
    """The part of the Brier score that telling decisions apart takes off, as in `brier_parts`; higher is better.

    >>> brier_resolution([0.0, 1.0], [0, 1])
    0.25
    """
    return _resolution(bin_sums(p, y, n_bins=n_bins))


def _reliability(sums: BinSums) -> float:
    return float((sums.n * sums.gap**2).sum() / sums.n.sum())


def _resolution(sums: BinSums) -> float:
    between = sums.y / np.maximum(sums.n, 1) - sums.y.sum() / sums.n.sum()
    return float((sums.n * between**2).sum() / sums.n.sum())
