"""Is p calibrated? Tests whose null hypothesis is y ~ Bernoulli(p), independently; none of them bins.

A large p-value is no proof of calibration, and at a million rows the smallest miscalibration is significant: quote the
size beside it. Kuiper and Kolmogorov-Smirnov see any run of p that is off; Spiegelhalter sees p that are too extreme or
too timid, and misses shifts that cancel out.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from routecal.calib.checks import FloatArray, checked
from routecal.calib.metrics.ties import Ties, ties


class CalibrationTest(NamedTuple):
    """A statistic, in units of its spread under calibration, and how often chance alone makes it as large."""

    statistic: float
    p_value: float


def kuiper(p: ArrayLike, y: ArrayLike) -> float:
    """Largest total residual over any interval of p, per row (ECCE-R); lower is better.

        C_k = (1/n) sum over the k smallest p of (y - p),   kuiper = max_k C_k - min_k C_k,  C_0 = 0

    Arrieta-Ibarra et al. 2022, arXiv:2205.09680. Departs from it where p are tied: the path is read only after the last
    of them, so the order of rows does not matter.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        A fraction in [0, 1]. Under calibration about 1.6 sqrt(mean p(1-p) / n), not 0: see `kuiper_test`.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> kuiper([0.25, 0.75], [1, 0])  # the path goes 0, .375, 0
    0.375
    """
    path = _path(ties(*checked(p, y)))
    return float(np.maximum(path.max(), 0) - np.minimum(path.min(), 0))


def ks(p: ArrayLike, y: ArrayLike) -> float:
    """Largest total residual over the smallest p, per row (ECCE-MAD): max_k |C_k| of `kuiper`'s path; lower is better.

    Arrieta-Ibarra et al. 2022, arXiv:2205.09680. Between half of `kuiper` and all of it.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        A fraction in [0, 1]; at least |mean y - mean p|.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> ks([0.25, 0.5, 0.75], [0, 0, 0])  # the path goes 0, -1/12, -3/12, -6/12
    0.5
    """
    return float(np.abs(_path(ties(*checked(p, y)))).max())


def kuiper_test(p: ArrayLike, y: ArrayLike) -> CalibrationTest:
    """Kuiper's statistic over sqrt(sum p(1-p)) / n, and its asymptotic p-value: that of the range of Brownian motion.

    Arrieta-Ibarra et al. 2022, arXiv:2205.09680; the distribution: Feller 1951. The path of n rows is coarser than
    Brownian motion, so the p-value is a little too large at small n or with many ties.

    Returns:
        statistic, and p_value in [0, 1]; (inf, 0) where p is 0 or 1 everywhere and once wrong, (0, 1) where never.

    >>> kuiper_test([0.0, 1.0], [0, 1])
    CalibrationTest(statistic=0.0, p_value=1.0)
    """
    p, y = checked(p, y)
    x = _in_spreads(kuiper(p, y), p)
    return CalibrationTest(x, brownian_range_sf(x))


def ks_test(p: ArrayLike, y: ArrayLike) -> CalibrationTest:
    """The `ks` statistic over sqrt(sum p(1-p)) / n, and its asymptotic p-value: that of the largest |Brownian motion|.

    Arrieta-Ibarra et al. 2022, arXiv:2205.09680. More power than `kuiper_test` where all p are off to one side.

    Returns:
        As `kuiper_test`.

    >>> ks_test([1.0, 1.0], [0, 1])
    CalibrationTest(statistic=inf, p_value=0.0)
    """
    p, y = checked(p, y)
    x = _in_spreads(ks(p, y), p)
    return CalibrationTest(x, brownian_maximum_sf(x))


def spiegelhalter_test(p: ArrayLike, y: ArrayLike) -> CalibrationTest | None:
    """Is the Brier score what it would be if p were calibrated?

        z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)² p (1 - p)),  p_value = 2 P(N(0, 1) > |z|)

    Spiegelhalter 1986. z > 0: p is too extreme, the Brier score worse than p promises; z < 0: too timid.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        None where every p is .5, or certain and right: no outcome speaks against it. (±inf, 0) where p is certain and
        wrong and nothing else has weight.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> z, p_value = spiegelhalter_test([0.1, 0.9], [1, 0])  # .9 .8 + .9 .8 over sqrt(2 .64 .09)
    >>> round(z, 4), round(p_value, 7)
    (4.2426, 2.21e-05)
    """
    p, y = checked(p, y)
    excess = float((y - p) @ (1 - 2 * p))
    spread = math.sqrt(float(((1 - 2 * p) ** 2) @ (p * (1 - p))))
    if spread == 0:
        return None if excess == 0 else CalibrationTest(math.copysign(math.inf, excess), 0.0)
    return CalibrationTest(excess / spread, float(2 * ndtr(-abs(excess / spread))))


def brownian_maximum_sf(x: float) -> float:
    """P(max over t in [0, 1] of |B(t)| > x) for standard Brownian motion B.

    Two series for the same function, each where it converges at once: reflections for large x, waves for small.

    >>> round(brownian_maximum_sf(2.2414), 4)  # 4 P(N > x), less reflections
    0.05
    """
    if x <= 0:
        return 1.0
    if x > 1:
        odd = np.arange(1, 40, 2)
        return float((4 * (-1.0) ** (odd // 2) * ndtr(-odd * x)).sum())
    odd = np.arange(1, 40, 2)
    return float(1 - (4 / (np.pi * odd) * (-1.0) ** (odd // 2) * np.exp(-((odd * np.pi / x) ** 2) / 8)).sum())


def brownian_range_sf(x: float) -> float:
    """P(max B - min B > x) over t in [0, 1] for standard Brownian motion B.

    Feller 1951: the density is 8 sum_k (-1)^(k-1) k² phi(k x). Its integral for large x, and for small x the same after
    Poisson's summation.

    >>> round(brownian_range_sf(2.4977), 4)
    0.05
    """
    if x <= 0:
        return 1.0
    if x > 1:
        k = np.arange(1, 40)
        return float((8 * (-1.0) ** (k - 1) * k * ndtr(-k * x)).sum())
    half = (np.arange(20) + 0.5) * np.pi
    return float(1 - ((8 / x**2 + 2 / half**2) * np.exp(-2 * (half / x) ** 2)).sum())


def _path(groups: Ties) -> FloatArray:
    """C after each group of ties, (g,)."""
    return np.asarray(np.cumsum(groups.n1 - groups.n * groups.p) / groups.n.sum())


def _in_spreads(value: float, p: FloatArray) -> float:
    spread = math.sqrt(float(p @ (1 - p))) / len(p)
    if spread == 0:
        return math.inf if value > 0 else 0.0
    return value / spread
