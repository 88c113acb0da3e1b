"""How well confidence separates right decisions from wrong ones, whatever its scale."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from calib.checks import checked


def auroc(p: ArrayLike, y: ArrayLike) -> float | None:
    """Probability that a right decision has more confidence than a wrong one, ties counted half; higher is better.

        AUROC = (sum of ranks of the right rows - n1 (n1+1) / 2) / (n1 n0)

    The Mann-Whitney statistic with mid-ranks (Hanley & McNeil 1982). Blind to calibration: any
    increasing map of p keeps it.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        A fraction in [0, 1], .5 for a constant, or None when y has one class: there is no pair to rank.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> auroc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])  # 3 pairs won, 1 tied, of 4
    0.875
    >>> auroc([0.9, 0.5], [1, 1]) is None
    True
    """
    p, y = checked(p, y)
    n1 = float(y.sum())
    n0 = len(y) - n1
    if not n1 or not n0:
        return None
    ranks = np.asarray(rankdata(p), np.float64)
    return float((ranks[y == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
