"""Is the loss at most the margin? Tango's score test, its critical value corrected until it is exact.

The score statistic is compared with 1.645 at 95 %. That is asymptotic: on few rows, where losses are rare, it passes up
to 6.8 % of the samples whose true loss is the margin (n = 298). So the critical value is raised until the largest of
these probabilities, over every share of gains there could be, is at most delta: an exact unconditional test (Barnard
1945; Hsueh, Liu & Chen 2001 for paired shares and a margin, Biometrics 57).
"""

from functools import lru_cache
from math import inf
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d
from scipy.optimize import minimize_scalar
from scipy.special import bdtr, gammaln, xlog1py, xlogy
from scipy.stats import binom

from routecal.calib.checks import FloatArray
from routecal.calib.escalation.paired import score_statistic

# Shares of gains, from each end, that the largest probability is looked for at; refined around the best of them.
# Dense at both ends, where hardly any query differs or nearly every one does: the probability jumps there.
_GAINS = 160
# Terms of a binomial sum that are left out weigh less than 1e-9 together.
_LEFT_OUT = 1e-9
# What the critical value is found to, in standard deviations, and the search's first step.
_TOLERANCE = 3e-4
_FIRST_STEP = 0.02
# A share whose probability of passing is lower than delta by more than this is not looked at again at a higher value:
# there the probability is lower still. The slack is for what lies between two shares of the grid.
_SLACK = 0.01


@lru_cache(maxsize=1024)
def critical_value(n: int, margin: float, delta: float) -> float:
    """The least z, not below the normal quantile, at which passing `score_statistic >= z` is an exact test.

        max over q of  sum_b Bin(b; n, q) BinCDF(c*(b; z); n - b, (q + margin) / (1 - q))  <=  delta

    with b gains, c losses and c*(b; z) the most losses that pass. At least 0. Where there are too few rows for the
    margin no table of gains and losses reaches it.

    Args:
        n: rows, at least 1.
        margin: share of rows that may be lost, in (0, 1).
        delta: probability of passing a loss of exactly the margin, in (0, .5].

    >>> round(critical_value(300, 0.01, 0.05), 2), round(critical_value(1000, 0.01, 0.05), 2)
    (1.67, 1.65)
    """
    low = NormalDist().inv_cdf(1 - delta)
    near, highest = np.geomspace(0.01 / n, (1 - margin) / 2, _GAINS), (1 - margin) / 2
    q = np.unique(np.concatenate([[0.0], near, highest - near]))
    size, q = _size(n, margin, low, delta, q)
    if size <= delta:
        return low
    step, high = _FIRST_STEP, inf
    while high - low > _TOLERANCE:
        middle = min(low + step, (low + high) / 2)
        size, nearer = _size(n, margin, middle, delta, q)
        low, high, q = (low, middle, q) if size <= delta else (middle, high, nearer)
        step *= 2
    return high


def _size(n: int, margin: float, z: float, delta: float, q: FloatArray) -> tuple[float, FloatArray]:
    """The largest probability, over q (s,), of passing z when the true loss is the margin; q worth a higher z."""
    most = _most_losses(n, margin, z)
    passing = _passing(q, n, margin, most)
    i = int(passing.argmax())
    size = float(passing[i])
    if size <= delta:  # it may still be above delta between two shares of the grid
        around = q[max(i - 1, 0) : i + 2]
        found = minimize_scalar(lambda x: -_passing(np.array([x]), n, margin, most)[0], bounds=(around[0], around[-1]))
        size = max(size, -float(found.fun))
    return size, q[maximum_filter1d(passing, 3) > delta - _SLACK]


def _passing(q: FloatArray, n: int, margin: float, most: NDArray[np.int64]) -> FloatArray:
    """(s,) probability of passing where a share q (s,) of the rows is a gain and q + margin a loss."""
    # All shares in one long row, as most have few terms.
    first, last = (end.astype(np.int64) for end in binom.interval(1 - _LEFT_OUT, n, q))
    terms = last - first + 1
    begin = np.cumsum(terms) - terms
    share = np.repeat(q, terms)
    b = np.arange(terms.sum()) - np.repeat(begin - first, terms)
    weight = np.exp(gammaln(n + 1) - gammaln(b + 1) - gammaln(n - b + 1) + xlogy(b, share) + xlog1py(n - b, -share))
    # Given b gains, each of the other rows is a loss with this probability.
    loss = np.minimum((share + margin) / (1 - share), 1.0)
    can, below = most[b] >= 0, np.zeros(len(b))
    below[can] = bdtr(most[b][can], (n - b)[can], loss[can])
    return np.asarray(np.add.reduceat(weight * below, begin))


def _most_losses(n: int, margin: float, z: float) -> NDArray[np.int64]:
    """(n + 1,) for 0 … n gains: the most losses at which the statistic is still z or more, -1 where none passes."""
    b = np.arange(n + 1)
    low, high = np.full(n + 1, -1), n - b
    while (low < high).any():
        middle = (low + high + 1) // 2
        passes = score_statistic(b, middle, n, difference=-margin) >= z
        low, high = np.where(passes, middle, low), np.where(passes, high, middle - 1)
    return np.asarray(low)


def passes(gains: ArrayLike, losses: ArrayLike, n: int, *, margin: float, delta: float) -> NDArray[np.bool_]:
    """(t,) whether so many gains and losses among n rows show, at 1 - delta, a loss of less than the margin.

    >>> passes(np.array([0, 0]), np.array([0, 5]), 1000, margin=0.01, delta=0.05).tolist()
    [True, False]
    """
    return np.asarray(score_statistic(gains, losses, n, difference=-margin) >= critical_value(n, margin, delta))
