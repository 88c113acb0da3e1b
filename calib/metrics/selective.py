"""What confidence is worth as a decision: which answers to keep, and how many of those are wrong.

Rows are kept from the most confident down. Tied rows are kept in random order and every number here is the expectation
over that order, so the order of rows in a file changes nothing; coverage_at_risk alone keeps or drops ties whole, as a
threshold on p does.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked
from routecal.calib.errors import OutOfRange
from routecal.calib.metrics.ties import Ties, ties


def aurc(p: ArrayLike, y: ArrayLike) -> float:
    """Area under the risk-coverage curve: the error rate of the kept rows, averaged over how many are kept.

        AURC = (1/n) sum_{k=1..n} E[wrong among the k most confident] / k

    Geifman & El-Yaniv 2017 (arXiv:1705.08500); Geifman et al. 2019 (arXiv:1805.08206). Departs from implementations
    that sort ties as they stand or join distinct thresholds by trapezoids. Lower is better. The few most confident
    rows weigh most (the first one enters every term), and the error rate of all rows enters too: compare only methods
    on the same decisions, or use `augrc`.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        A fraction in [0, 1]; the error rate for a constant.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> round(aurc([0.9, 0.5, 0.1], [1, 0, 1]), 6)  # (0/1 + 1/2 + 1/3) / 3
    0.277778
    """
    return float(aurc_of(ties(*checked(p, y))))


def aurc_of(groups: Ties) -> FloatArray:
    """AURC (…,) of grouped rows.

    In a group of g rows, e of them wrong, after s rows with E wrong, the sum over k = s+1..s+g of (E + (k-s) e/g) / k
    is (E - s e/g) (H(s+g) - H(s)) + e, with the harmonic numbers H.
    """
    size, wrong = groups.n[..., ::-1], groups.n0[..., ::-1]
    kept = np.cumsum(size, axis=-1)
    harmonic = _harmonic(int(kept.flat[-1]))
    before = kept - size
    rate = wrong / np.maximum(size, 1)
    steps = harmonic[kept.astype(np.int64)] - harmonic[before.astype(np.int64)]
    total = (np.cumsum(wrong, axis=-1) - wrong - before * rate) * steps + wrong
    return np.asarray(total.sum(axis=-1) / kept[..., -1])


def e_aurc(p: ArrayLike, y: ArrayLike) -> float:
    """AURC minus that of the best ranking of the same decisions, all right rows before all wrong ones; lower is better.

        E-AURC = AURC - (1/n) sum_{k=n1+1..n} (k - n1) / k

    Geifman et al. 2019, arXiv:1805.08206, with the exact sum in place of their e + (1-e) log(1-e). Takes the accuracy
    of the router out of AURC, not quite: how far from the best a ranking can be still depends on it.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        At least 0, up to rounding.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> round(e_aurc([0.9, 0.5, 0.1], [1, 0, 1]), 6)  # (0 + 1/2 + 1/3) / 3 - (0 + 0 + 1/3) / 3
    0.166667
    """
    groups = ties(*checked(p, y))
    n0, n1 = int(groups.n0.sum()), int(groups.n1.sum())
    harmonic = _harmonic(n0 + n1)
    best = (n0 - n1 * (harmonic[n0 + n1] - harmonic[n1])) / (n0 + n1)
    return float(aurc_of(groups) - best)


def augrc(p: ArrayLike, y: ArrayLike) -> float:
    """Area under the generalised risk-coverage curve: how likely a row is kept and wrong, averaged over coverage.

        AUGRC = integral over c in [0, 1] of P(kept at coverage c and wrong)
              = (1 - AUROC) acc (1 - acc) + (1 - acc)² / 2

    Traub et al. 2024, arXiv:2407.01032; by trapezoids from coverage 0, where the second form is exact for any ties.
    Lower is better. Every undetected error weighs the same, unlike in `aurc`; mixes ranking with the accuracy of the
    router, so quote both.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        A fraction in [0, .5]; half the error rate for a constant.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> augrc([0.9, 0.1], [1, 0]), augrc([0.1, 0.9], [1, 0])  # best and worst with one error in two: 1/8 and 3/8
    (0.125, 0.375)
    """
    return float(augrc_of(ties(*checked(p, y))))


def augrc_of(groups: Ties) -> FloatArray:
    """AUGRC (…,) of grouped rows."""
    lost = (groups.n0 * (np.cumsum(groups.n1, axis=-1) - groups.n1 / 2)).sum(axis=-1)  # pairs with the wrong one above
    n0, n = groups.n0.sum(axis=-1), groups.n.sum(axis=-1)
    return np.asarray((lost + n0**2 / 2) / n**2)


def risk_at_coverage(p: ArrayLike, y: ArrayLike, *, coverage: float = 0.8) -> float:
    """Expected error rate among the ceil(coverage n) most confident rows; lower is better.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        coverage: share to keep, in (0, 1].

    Returns:
        A fraction in [0, 1].

    Raises:
        OutOfRange: coverage is not in (0, 1].
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> risk_at_coverage([0.9, 0.5, 0.5, 0.1], [1, 0, 1, 0], coverage=0.5)  # the first, and one of a tie half wrong
    0.25
    """
    if not 0 < coverage <= 1:
        raise OutOfRange("coverage", coverage, "a share above 0, at most 1")
    groups = ties(*checked(p, y))
    size, wrong = groups.n[::-1], groups.n0[::-1]
    upto = np.cumsum(size)
    k = math.ceil(coverage * float(upto[-1]) - 1e-9)  # .7 * 10 is a little more than 7
    kept = np.clip(k - (upto - size), 0, size)
    return float((kept * wrong / size).sum() / k)


def coverage_at_risk(p: ArrayLike, y: ArrayLike, *, risk: float = 0.1) -> float:
    """Largest share of rows that a threshold on p keeps with an error rate of at most `risk`; higher is better.

    Measured on these rows: a threshold chosen so is biased, and promises nothing for other rows. Jumps where the most
    confident rows are few or wrong.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        risk: error rate that is tolerated among the kept rows, in [0, 1].

    Returns:
        A fraction in [0, 1]; 0 where no threshold will do.

    Raises:
        OutOfRange: risk is not in [0, 1].
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> coverage_at_risk([0.9, 0.5, 0.5, 0.1], [1, 0, 1, 0], risk=0.4)  # p >= .5 keeps three, one of them wrong
    0.75
    """
    if not 0 <= risk <= 1:
        raise OutOfRange("risk", risk, "an error rate in [0, 1]")
    groups = ties(*checked(p, y))
    kept, wrong = np.cumsum(groups.n[::-1]), np.cumsum(groups.n0[::-1])
    allowed = wrong <= risk * kept + 1e-9  # .29 * 100 is a little less than 29
    return float(np.where(allowed, kept, 0).max() / kept[-1])


def decision_accuracy(p: ArrayLike, y: ArrayLike) -> float:
    """Fraction of rows on which [p >= .5] says rightly whether y = 1; higher is better.

    The accuracy that METHOD.md states for the head after SFT. Next to nothing where the router is mostly right: a
    constant 1 scores the router's own accuracy.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> decision_accuracy([0.5, 0.4, 0.9], [1, 1, 1])
    0.6666666666666666
    """
    p, y = checked(p, y)
    return float(((p >= 0.5) == (y == 1)).mean())


def _harmonic(n: int) -> FloatArray:
    """H(0..n)."""
    return np.concatenate(([0.0], np.cumsum(1 / np.arange(1, n + 1))))
