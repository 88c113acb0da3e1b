"""Is the loss at most the margin? Tango's score test, its critical value corrected until it is exact.

The score statistic is compared with 1.645 at 95 %. That is asymptotic: on few rows, where losses are rare, it passes up
to 6.8 % of the samples whose true loss is the margin (n = 298). So the critical value is raised until the largest of
these probabilities, over every share of gains there could be, is at most delta: an exact unconditional test (Barnard
1945; Hsueh, Liu & Chen 2001 for paired shares and a margin, Biometrics 57).
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from routecal.calib.checks import FloatArray
from routecal.calib.escalation.paired import score_statistic

# Shares of gains that the largest probability is first looked for at; it is then refined around the best of them.
# Dense at the low end, where the statistic takes few values and the probability jumps.
_GAINS = 160
# Terms of a binomial sum that are left out weigh less than this together.
_TAIL = 1e-9
# What the critical value is found to, in standard deviations, and how far the search goes.
_TOLERANCE = 1e-4
_HIGHEST = 12.0


@lru_cache(maxsize=256)
def critical_value(n: int, margin: float, delta: float) -> float:
    """The least z, not below the normal quantile, at which passing `score_statistic >= z` is an exact test.

        max over q of  sum_b Bin(b; n, q) BinCDF(c*(b; z); n - b, (q + margin) / (1 - q))  <=  delta

    with b gains, c losses and c*(b; z) the most losses that pass. In (0, 12]; at 12 nothing passes: there are too few
    rows for this margin.

    Args:
        n: rows, at least 1.
        margin: share of rows that may be lost, in (0, 1).
        delta: probability of passing a loss of exactly the margin, in (0, .5].

    >>> round(critical_value(300, 0.01, 0.05), 2), round(critical_value(1000, 0.01, 0.05), 2)
    (1.67, 1.65)
    """
    low, high = NormalDist().inv_cdf(1 - delta), _HIGHEST
    if _size(n, margin, low) <= delta:
        return low
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if _size(n, margin, middle) <= delta else (middle, high)
    return high


def _size(n: int, margin: float, z: float) -> float:
    """The largest probability of passing z when the true loss is the margin."""
    most = _most_losses(n, margin, z)
    if most.max() < 0:
        return 0.0
    highest = (1 - margin) / 2
    q = np.concatenate([[0.0], np.geomspace(0.01 / n, highest, _GAINS)])
    passing = np.array([_passing(share, n, margin, most) for share in q])
    i = int(passing.argmax())
    bounds = (q[max(i - 1, 0)], q[min(i + 1, len(q) - 1)])
    refined = minimize_scalar(lambda share: -_passing(share, n, margin, most), bounds=bounds, method="bounded")
    return float(max(passing[i], -refined.fun))


def _passing(q: float, n: int, margin: float, most: NDArray[np.int64]) -> float:
    """Probability of passing where a share q of the rows is a gain and q + margin a loss."""
    low, high = (int(end) for end in binom.ppf([_TAIL, 1 - _TAIL], n, q))
    b = np.arange(max(low, 0), min(high, n) + 1)
    return float((binom.pmf(b, n, q) * binom.cdf(most[b], n - b, min((q + margin) / (1 - q), 1.0))).sum())


def _most_losses(n: int, margin: float, z: float) -> NDArray[np.int64]:
    """(n + 1,) for 0 … n gains: the most losses at which the statistic is still z or more, -1 where none passes."""
    b = np.arange(n + 1)
    low, high = np.full(n + 1, -1), n - b
    while (low < high).any():
        middle = (low + high + 1) // 2
        passes = score_statistic(b, middle, n, difference=-margin) >= z
        low, high = np.where(passes, middle, low), np.where(passes, high, middle - 1)
    return np.asarray(low)


def passes(gains: FloatArray, losses: FloatArray, n: int, *, margin: float, delta: float) -> NDArray[np.bool_]:
    """(t,) whether so many gains and losses among n rows show, at 1 - delta, a loss of less than the margin.

    >>> passes(np.array([0, 0]), np.array([0, 5]), 1000, margin=0.01, delta=0.05).tolist()
    [True, False]
    """
    return np.asarray(score_statistic(gains, losses, n, difference=-margin) >= critical_value(n, margin, delta))
