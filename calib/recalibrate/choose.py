"""Which recalibrator to use: the simplest that cross-validated log loss cannot tell from the best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray, checked
from routecal.calib.recalibrate.identity import Identity
from routecal.calib.recalibrate.registry import LEAST_ROWS, RECALIBRATORS, Recalibrator

# How many standard errors of the paired difference a simpler candidate may lie behind, identity as any other.
#
# One is already strict. A candidate with k parameters more gains LR/2 in sample and about LR/2 - k under
# cross-validation, with a standard error of about sqrt(LR): identity is left where LR > (1 + sqrt(1 + 2k))², at k = 2
# where LR > 10.5, which calibrated confidences (LR ~ chi²_2) reach once in 200 times; simulated, with three candidates
# to be the best of, 3 times in 100. Asking for more was simulated too: n = 240, 150 draws, true rate
# sigmoid(a logit(p) + b), excess log loss over the truth in nats of all 240 rows together:
#
#     a, b                1, 0    .8, 0   .6, 0   .4, 0   1, -.4   .8, -.3
#     never leave          .00     .92    4.17   10.49     3.90      4.61
#     0 standard errors    .34     .85     .78     .55     1.50      1.47
#     1 standard error     .10    1.01    2.01     .69     3.11      3.30
#     2 standard errors    .00     .92    3.92    4.93     3.88      4.55
#     always Platt         .86     .89     .95     .85      .97       .98
#
# With 2 the gain where nothing is wrong is a tenth of a nat, the loss where something is wrong is up to 4 nats.
# So one standard error stays, for identity too.
STANDARD_ERRORS = 1.0


@dataclass(frozen=True)
class Candidate:
    """One row of the table that `choose_recalibrator` decided by, in nats.

    Attributes:
        name: key of RECALIBRATORS.
        log_loss: mean over held-out rows.
        standard_error: of that mean.
        excess: mean log loss above the best candidate's, on the same rows; 0 for the best.
        excess_error: standard error of the excess.
    """

    name: str
    log_loss: float
    standard_error: float
    excess: float
    excess_error: float


@dataclass(frozen=True)
class Choice:
    """The recalibrator to use, fitted on all rows, and why; the table is empty where there was nothing to choose."""

    recalibrator: Recalibrator
    table: tuple[Candidate, ...]


def choose_recalibrator(p: ArrayLike, y: ArrayLike, *, seed: int = 0, n_folds: int = 10) -> Choice:
    """The simplest recalibrator whose cross-validated log loss is within one standard error of the best.

    The one-standard-error rule (Breiman et al. 1984) with the standard error of the paired difference: that of the log
    loss itself is mostly the difficulty of the rows, which all candidates share, and would always pick the identity.

    Args:
        p: (n,) confidence in [0, 1] on rows that did not train the head.
        y: (n,) {0, 1}.
        seed: of the private generator that deals rows to folds.
        n_folds: folds.

    Returns:
        Identity with an empty table when n < 30 or y has one class.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> choose_recalibrator([0.5, 0.5], [0, 1])
    Choice(recalibrator=Identity(), table=())
    """
    from routecal.calib.metrics.proper import log_loss_rows

    p, y = checked(p, y)
    names = [name for name, least in LEAST_ROWS.items() if len(p) >= least]
    if len(names) < 2 or y.min() == y.max():
        return Choice(Identity(), ())
    fold = np.random.default_rng(seed).permutation(len(p)) % n_folds
    rows = {name: np.empty(len(p)) for name in names}
    for name in names:
        for out in (fold == k for k in range(n_folds)):
            rows[name][out] = log_loss_rows(RECALIBRATORS[name](p[~out], y[~out])(p[out]), y[out])
    best = min(names, key=lambda name: rows[name].mean())
    table = tuple(
        Candidate(name, *mean_and_error(rows[name]), *mean_and_error(rows[name] - rows[best])) for name in names
    )
    chosen = next(c.name for c in table if c.excess <= STANDARD_ERRORS * c.excess_error)
    return Choice(RECALIBRATORS[chosen](p, y), table)


def mean_and_error(rows: FloatArray) -> tuple[float, float]:
    """Mean of rows (n,), n >= 2, and its standard error."""
    return float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(len(rows)))
