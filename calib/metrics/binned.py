"""The binned calibration errors: equal width, equal mass, and without the bias that noise in the labels adds."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from routecal.calib.checks import checked
from routecal.calib.errors import OutOfRange, UnknownName
from routecal.calib.metrics.bin_counts import BinSums, bin_sums
from routecal.calib.metrics.ties import ties

Norm = Literal[1, 2, "max"]


def ece(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10, norm: Norm = 1) -> float:
    """Expected calibration error with equal-width bins.

        norm 1:    ECE   = sum_b (n_b / n) |mean(y in b) - mean(p in b)|
        norm 2:    RMSCE = sqrt(sum_b (n_b / n) (mean(y in b) - mean(p in b))²)
        norm max:  MCE   = max_b |mean(y in b) - mean(p in b)|, over bins that hold a row

    Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599. Departs from METHOD.md's `compute_ece`, which drops p = 1.
    Biased upward at small n: a perfectly calibrated p measures about .036 at n = 500 and .026 at n = 1,000, so read it
    beside `noise_floor`. A constant at the base rate has ECE 0: read it beside Brier skill and AUROC too. MCE is the
    error of the emptiest bin more often than of the worst.

    Others give the same number up to where they put values on an edge: netcal 1.4 (n_bins edges by `linspace`, closed
    left, 1 in the last bin); torchmetrics 1.9 (the same edges, but 1 in a bin of its own; sums in the precision of p,
    so give it float64); relplot 1.0 and uncertainty-calibration 0.1 (the latter closes bins on the right).

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}, 1 where the router's policy was right.
        n_bins: bin b is [b/n_bins, (b+1)/n_bins); the last also holds p = 1.
        norm: 1, 2 or "max".

    Returns:
        A fraction in [0, 1] (0.05 = five points off), not a percentage.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.
        OutOfRange: n_bins is below 1.
        UnknownName: no such norm.

    >>> ece([0.25, 0.25, 0.75, 1.0], [0, 1, 1, 1], n_bins=2)
    0.1875
    >>> ece([0.25, 0.25, 0.75, 1.0], [0, 1, 1, 1], n_bins=2, norm="max")
    0.25
    """
    return _ece_of(bin_sums(p, y, n_bins=n_bins), norm=norm)


def ece_equal_mass(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10, norm: Norm = 1) -> float:
    """Calibration error as `ece`, over bins that hold equally many rows.

        bin of a row = floor(n_bins (rows with a smaller p) / n)

    Nixon et al. 2019, arXiv:1904.01685 (adaptive calibration error). Departs from it where p are tied: rows of equal p
    share a bin, so their order does not matter and a constant has one bin, with ECE |mean y - p|, where quantile edges
    that coincide have left others with no bin and ECE 0. Without ties, and with n a multiple of n_bins, these are the
    bins of uncertainty-calibration's `get_equal_bins` and of quantile edges.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        n_bins: number of bins; with fewer distinct p some stay empty.
        norm: 1, 2 or "max", as in `ece`.

    Returns:
        A fraction in [0, 1]. Its noise differs from that of equal widths: compare only at the same kind of bins.

    Raises:
        As `ece`.

    >>> ece_equal_mass([0.1, 0.2, 0.3, 1.0], [0, 0, 1, 1], n_bins=2)  # gaps .15 and .35
    0.25
    """
    groups = ties(*checked(p, y))
    if n_bins < 1:
        raise OutOfRange("n_bins", n_bins, "at least 1")
    before = np.cumsum(groups.n) - groups.n
    b = (before * n_bins // groups.n.sum()).astype(np.int64)
    columns = (groups.n, groups.n1, groups.n * groups.p)
    sums = (np.bincount(b, weights=column, minlength=n_bins).astype(np.float64) for column in columns)
    return _ece_of(BinSums(*sums), norm=norm)


def ece_debiased(p: ArrayLike, y: ArrayLike, *, n_bins: int = 10, norm: Literal[1, 2] = 2) -> float:
    """Calibration error of norm 2 (or 1) less what noise in the labels adds to it, equal-width bins.

        norm 2:  sqrt(max(0, sum_b (n_b / n) (gap_b² - ȳ_b (1 - ȳ_b) / (n_b - 1))))
        norm 1:  max(0, 2 ECE - sum_b (n_b / n) E|gap_b + noise_b|),  noise_b ~ N(0, ȳ_b (1 - ȳ_b) / n_b)

    Kumar et al. 2019, arXiv:1909.10155. Norm 2 is their debiased estimator, which is the one with a guarantee: before
    root and clipping it is unbiased, given the bins. Norm 1 is the correction by resampling of their package, with its
    expectation in closed form in place of 1,000 draws. Neither knows what happens within a bin, so like every binned
    error they bound the true one from below. A bin of one row counts as calibrated in norm 2, as in their package.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        n_bins: equal-width bins, rule as in `ece`.
        norm: 2 (at least as large as norm 1: do not compare across) or 1.

    Returns:
        A fraction in [0, 1]; 0 where the noise explains all.

    Raises:
        As `ece`.

    >>> round(ece_debiased([0.5] * 4, [1, 1, 1, 0]), 6)  # gap 1/4; 1/16 - (3/16) / 3 = 0
    0.0
    >>> round(ece_debiased([0.25] * 4, [1, 1, 1, 0]) ** 2, 6)  # 1/4 - 1/16
    0.1875
    """
    sums = bin_sums(p, y, n_bins=n_bins)
    share = sums.n / sums.n.sum()
    mean_y = sums.y / np.maximum(sums.n, 1)
    spread, gap = mean_y * (1 - mean_y), np.abs(sums.gap)
    if norm == 2:
        terms = np.where(sums.n > 1, gap**2 - spread / np.maximum(sums.n - 1, 1), 0.0)
        return float(np.sqrt(np.maximum((share * terms).sum(), 0)))
    if norm == 1:
        sd = np.sqrt(spread / np.maximum(sums.n, 1))
        z = gap / np.where(sd > 0, sd, 1)
        folded = sd * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + gap * (1 - 2 * ndtr(-z))  # E|N(gap, sd²)|
        return float(np.maximum((share * (2 * gap - np.where(sd > 0, folded, gap))).sum(), 0))
    raise UnknownName("norm", str(norm), ("1", "2"))


def _ece_of(sums: BinSums, *, norm: Norm) -> float:
    share = sums.n / sums.n.sum()
    if norm == 1:
        return float((share * np.abs(sums.gap)).sum())
    if norm == 2:
        return float(np.sqrt((share * sums.gap**2).sum()))
    if norm == "max":
        return float(np.abs(sums.gap).max())
    raise UnknownName("norm", str(norm), ("1", "2", "max"))
