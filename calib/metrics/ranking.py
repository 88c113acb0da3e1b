"""How well confidence separates right decisions from wrong ones, whatever its scale."""

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked
from routecal.calib.metrics.ties import Ties, packed_keys, ties


def auroc(p: ArrayLike, y: ArrayLike) -> float | None:
    """Probability that a right decision has more confidence than a wrong one, ties counted half; higher is better.

        AUROC = (pairs won + pairs tied / 2) / (n1 n0)

    The Mann-Whitney statistic with mid-ranks (Hanley & McNeil 1982), exact: wins are counted in integers. Blind to
    calibration: any increasing map of p keeps it, but one that rounds (a saturated sigmoid) makes ties.

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
    n1 = int(y.sum())
    n0 = len(y) - n1
    if not n1 or not n0:
        return None
    keys = packed_keys(p, y)
    places = int((keys & np.uint64(1)).view(np.int64) @ np.arange(len(keys)))  # of right rows, summed
    won = places - n1 * (n1 - 1) // 2  # wrong rows before each right one, those it ties with included
    # Tied rows stand wrong ones first, so a group that holds both has one place where keys differ in y alone.
    last_wrong = np.flatnonzero((keys[1:] ^ keys[:-1]) == 1)
    first = np.searchsorted(keys, keys[last_wrong], side="left")
    after = np.searchsorted(keys, keys[last_wrong + 1], side="right")
    tied = int(((last_wrong + 1 - first) * (after - last_wrong - 1)).sum())
    return (won - tied / 2) / (n1 * n0)


def auroc_of(groups: Ties) -> FloatArray:
    """AUROC (…,) of grouped rows, NaN where one class is missing."""
    below = np.cumsum(groups.n0, axis=-1) - groups.n0 / 2
    pairs = groups.n1.sum(axis=-1) * groups.n0.sum(axis=-1)
    return np.asarray((groups.n1 * below).sum(axis=-1) / np.where(pairs > 0, pairs, np.nan))


def auprc(p: ArrayLike, y: ArrayLike) -> float | None:
    """Average precision: the area under precision over recall of "this decision is right", as steps; higher is better.

        AP = sum_t (recall_t - recall_{t-1}) precision_t,  t over the distinct values of p, from the top

    The definition of scikit-learn's `average_precision_score`; no interpolation, which would flatter (Davis & Goadrich
    2006). A constant scores the accuracy of the router, so compare only on the same rows.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        A fraction in [0, 1], or None when no decision is right: there is nothing to recall.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> auprc([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0])  # half of the right rows at precision 1, the rest at 2/3
    0.8333333333333333
    """
    groups = ties(*checked(p, y))
    n1 = groups.n1[::-1]
    precision = np.cumsum(n1) / np.cumsum(groups.n[::-1])
    return float((n1 * precision).sum() / n1.sum()) if n1.any() else None
