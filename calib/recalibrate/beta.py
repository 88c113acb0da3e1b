"""Beta calibration: one slope near 0, another near 1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from routecal.calib.checks import EPS, FloatArray, checked, checked_p
from routecal.calib.recalibrate.monotone import monotone_logistic


@dataclass(frozen=True)
class Beta:
    """sigmoid(a log p - b log(1 - p) + c) with a, b >= 0; non-decreasing.

    Kull et al. 2017 (AISTATS, "Beta calibration"), eq. 4. a = b is Platt on logits; a ≠ b bends the curve, so that
    overconfidence near 1 can be mended without touching the rows near 0. p is clipped to [1e-6, 1 - 1e-6] first.

    >>> Beta(a=1.0, b=1.0, c=0.0)([0.25]).round(12).tolist()
    [0.25]
    """

    a: float
    b: float
    c: float
    name: ClassVar[str] = "beta"

    def __call__(self, p: ArrayLike) -> FloatArray:
        p = np.clip(checked_p(p), EPS, 1 - EPS)
        return np.asarray(expit(self.a * np.log(p) - self.b * np.log1p(-p) + self.c))


def fit_beta(p: ArrayLike, y: ArrayLike) -> Beta:
    """Least log loss over a, b >= 0 and c, by `monotone_logistic` on (log p, -log(1 - p)).

    Departs from the paper's procedure, which drops a feature whose coefficient comes out negative and fits again: the
    constrained minimum is never worse, and has the same priors as Platt here.
    """
    p, y = checked(p, y)
    p = np.clip(p, EPS, 1 - EPS)
    (a, b), c = monotone_logistic(np.column_stack([np.log(p), -np.log1p(-p)]), y)
    return Beta(float(a), float(b), c)
