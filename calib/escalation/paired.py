"""Two ways to serve the same queries, compared where they differ: exact enough where they hardly ever do.

A bootstrap cannot do this: where the two never differed in the sample, every resample says that they never will.
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from routecal.calib.checks import FloatArray
from routecal.calib.metrics import Estimate


def score_statistic(gains: ArrayLike, losses: ArrayLike, n: int, *, difference: float) -> FloatArray:
    """Standard normal, about, if the true difference of the two shares of right answers is `difference`.

        Z = (b - c - n d) / sqrt(n (2 q + d (1 - d)))
        q = (sqrt(B² - 4AC) - B) / 2A,  A = 2n,  B = -b - c + (2n - b + c) d,  C = -c d (1 - d)

    with b gains, c losses, d the difference and q the likeliest share of losses if d is true. Tango 1998 (Statistics in
    Medicine 17, 891-908), equations 24-26 with d for -Delta; at d = 0 it is McNemar's test. Falls in d.

    Args:
        gains: (t,) queries that are right one way and wrong the other.
        losses: (t,) queries that are wrong the one way and right the other.
        n: all queries.
        difference: in (-1, 1), the one way minus the other.

    >>> score_statistic(9, 1, 100, difference=0.0).round(4).tolist()  # (9 - 1) / sqrt(9 + 1)
    2.5298
    >>> score_statistic(0, 0, 99, difference=-0.01).round(4).tolist()  # sqrt(n m / (1 - m)) for a margin m
    1.0
    """
    b, c, d = np.asarray(gains, np.float64), np.asarray(losses, np.float64), difference
    linear = -b - c + (2 * n - b + c) * d
    q = (np.sqrt(np.maximum(linear**2 + 8 * n * c * d * (1 - d), 0.0)) - linear) / (4 * n)
    variance = np.maximum(n * (2 * q + d * (1 - d)), np.finfo(np.float64).tiny)
    return np.asarray((b - c - n * d) / np.sqrt(variance))


def paired_difference_of_shares(gains: int, losses: int, n: int, *, level: float = 0.95) -> Estimate:
    """(gains - losses) / n with Tango's score interval: every d that `score_statistic` does not reject.

    Has a width even where nothing differed (±z²/(n + z²)), unlike a bootstrap, and stays in [-1, 1]. Agrees with
    `scoreci.mp` of the R package PropCIs.

    Args:
        gains: queries that are right one way and wrong the other.
        losses: the reverse.
        n: all queries, at least 1.
        level: coverage.

    >>> found = paired_difference_of_shares(0, 0, 381)
    >>> round(found.low, 4), found.value, round(found.high, 4)
    (-0.01, 0.0, 0.01)
    """
    z, value = NormalDist().inv_cdf((1 + level) / 2), (gains - losses) / n
    edge = 1 - 1e-12

    def end(target: float, start: float, stop: float) -> float:
        """Where the statistic falls to `target` between two differences; `stop` if it does not get there."""

        def above(d: float) -> float:
            return float(score_statistic(gains, losses, n, difference=d)) - target

        return float(brentq(above, start, stop, xtol=1e-13)) if above(start) * above(stop) < 0 else stop

    middle = min(max(value, -edge), edge)
    low = -1.0 if value <= -edge else end(z, middle, -edge)
    high = 1.0 if value >= edge else end(-z, middle, edge)
    return Estimate(value=value, low=low, high=high)
