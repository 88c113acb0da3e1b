"""How large the expected calibration error can be, given what was measured: every value that the rows do not refute.

A bootstrap of ECE cannot say it. Noise in the labels adds to ECE, a resample adds it twice, and so the interval of a
calibrated model lies above 0 in every draw.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import bisect, brentq

from routecal.calib.checks import FloatArray
from routecal.calib.metrics.bin_counts import BinSums, bin_sums

# To which the ends are found, in standard deviations of what noise adds to ECE.
TOLERANCE = 0.02
# A bin whose number of right rows has at least this variance is redrawn as a Gaussian.
MIN_VARIANCE = 100.0
ROUNDING = 1e-9


def ece_interval(
    p: ArrayLike, y: ArrayLike, *, level: float = 0.95, n_bins: int = 10, n_replicates: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Confidence interval of the true calibration error over equal-width bins, by inverting a test.

        low  = the least e >= 0 with    P(ECE of redrawn labels >= ECE | true error e) > (1 - level) / 2
        high = the largest e with       P(ECE of redrawn labels <= ECE | true error e) > (1 - level) / 2
        P    = (redraws as far + 1) / (redraws + 1), whose test keeps its level with any number of redraws

    Labels are redrawn per bin, Binomial(rows, accuracy). A true error e does not say where it lies, so each e is tested
    at the gaps between confidence and accuracy that are the nearest to those measured, in units of their variances,
    that add up to e (`_Gaps.nearest`): hybrid resampling of a nuisance parameter, Chuang & Lai 2000 (Statistica
    Sinica 10, 1-50). At e = 0 nothing is unknown, and the test is that of `noise_floor`: the interval holds 0 where ECE
    is at most `noise_floor(p).high`, up to the noise of two simulations.

    Covers the error of the *binned* confidence; what cancels within a bin stays unseen, as in `ece` itself. The rows of
    a bin are taken to be equally likely right, and bins to hold the shares that they hold here, which costs next to
    nothing. Measured coverage: `tests/bench/coverage.py`. Sun et al. 2024 (arXiv:2408.08998) treat the error of norm 2
    by its two limiting distributions instead.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        level: coverage.
        n_bins: equal-width bins, rule as in `bin_counts`.
        n_replicates: redraws per tested error; from 2 / (1 - level) on, and more make the ends less noisy.
        seed: of the private generator.

    Returns:
        (low, high), 0 <= low <= ECE <= high.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        OutOfRange: n_bins is below 1.

    >>> low, high = ece_interval([0.5] * 100, [0, 1] * 50)  # nothing off; binomial noise allows a tenth
    >>> low, round(high, 1)
    (0.0, 0.1)
    """
    gaps = _Gaps(bin_sums(p, y, n_bins=n_bins))
    tail = (1 - level) / 2

    def is_as_large(error: float) -> float:
        return _p_value(gaps.redrawn(error, n_replicates, seed) >= gaps.ece - ROUNDING) - tail

    def is_as_small(error: float) -> float:
        return _p_value(gaps.redrawn(error, n_replicates, seed) <= gaps.ece + ROUNDING) - tail

    step = TOLERANCE * gaps.spread
    far = min(gaps.ece + 8 * gaps.spread, gaps.largest)
    return (
        _crossing(is_as_large, 0.0, gaps.ece, step=step),
        _crossing(is_as_small, gaps.largest if is_as_small(far) > 0 else far, gaps.ece, step=step),
    )


def _p_value(is_as_far: NDArray[np.bool_]) -> float:
    """Of a Monte Carlo test: what was measured counts as one redraw (Davison & Hinkley 1997, section 4.2.1)."""
    return float((is_as_far.sum() + 1) / (len(is_as_far) + 1))


def _crossing(excess: Callable[[float], float], outer: float, inner: float, *, step: float) -> float:
    """Where a tail probability rises above what is refuted, on the way from an outer error to the measured one."""
    if excess(outer) > 0:
        return float(outer)
    if excess(inner) <= 0:
        return float(inner)
    return float(bisect(excess, outer, inner, xtol=step))


class _Gaps:
    """What the bins that hold a row measured, and the accuracies nearest to it for a given true error."""

    def __init__(self, sums: BinSums) -> None:
        filled = sums.n > 0
        self.n, y, self.p = sums.n[filled], sums.y[filled], sums.p[filled]
        self.share, self.mean_p = self.n / self.n.sum(), self.p / self.n
        self.sign = np.where(y >= self.p, 1.0, -1.0)
        self.parts = np.abs(y - self.p) / self.n.sum()  # (b,) of each bin in ECE
        self.ece = float(self.parts.sum())
        rate = (y + 0.5) / (self.n + 1)
        self.variance = self.n * rate * (1 - rate) / self.n.sum() ** 2
        self.spread = float(np.sqrt(self.variance.sum()))
        self.room = self.share * np.maximum(self.mean_p, 1 - self.mean_p)
        self.largest = float(self.room.sum())

    def nearest(self, error: float) -> FloatArray:
        """Parts (b,) of the true error that add up to `error`: argmin sum_b (part_b - measured_b)² / variance_b."""
        if error <= 0:
            return np.zeros_like(self.room)
        if error >= self.largest:
            return np.asarray(self.room)

        def parts(pull: float) -> FloatArray:
            return np.asarray(np.clip(self.parts + pull * self.variance, 0, self.room))

        reach = 1 / self.variance.min()
        return parts(brentq(lambda pull: parts(pull).sum() - error, -reach, reach))

    def accuracy(self, error: float) -> FloatArray:
        """Accuracy (b,) in each bin; a gap that has no room on the side where it was measured lies on the other."""
        gap = self.sign * self.nearest(error) / self.share
        there = self.mean_p + gap
        return np.asarray(np.clip(np.where((there < 0) | (there > 1), self.mean_p - gap, there), 0, 1))

    def redrawn(self, error: float, n_replicates: int, seed: int) -> FloatArray:
        """ECE (m,) of redrawn labels of that true error; the same random numbers for every error."""
        rng = np.random.default_rng(seed)
        total = np.zeros(n_replicates)
        for n, p, rate in zip(self.n, self.p, self.accuracy(error), strict=True):
            if n * rate * (1 - rate) < MIN_VARIANCE:
                hits = rng.binomial(int(n), rate, n_replicates)
            else:
                hits = n * rate + np.sqrt(n * rate * (1 - rate)) * rng.standard_normal(n_replicates)
            total += np.abs(hits - p)
        return np.asarray(total / self.n.sum())
