"""Quadratic scaling: Platt with one bend, kept increasing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from routecal.calib.checks import FloatArray, checked, checked_p, logit
from routecal.calib.recalibrate.monotone import fit_slopes, rise

ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Quadratic:
    """sigmoid of a parabola in logit(p) between `low` and `high`, of its end tangents beyond; non-decreasing.

        logit(q) = intercept + ∫_0^logit(p) slope(t) dt,   slope linear from slope_low at low to slope_high at high

    A free parabola turns round somewhere and reverses the ranking there; slopes >= 0 at both ends and straight tails
    make it increasing everywhere. Equal slopes are Platt.

    >>> Quadratic(low=-1.0, high=1.0, slope_low=1.0, slope_high=1.0, intercept=0.0)([0.25]).round(12).tolist()
    [0.25]
    """

    low: float
    high: float
    slope_low: float
    slope_high: float
    intercept: float
    name: ClassVar[str] = "quadratic"

    def __call__(self, p: ArrayLike) -> FloatArray:
        knots, slopes = np.array([self.low, self.high]), np.array([self.slope_low, self.slope_high])
        return np.asarray(expit(self.intercept + rise(logit(checked_p(p)), knots, slopes)))


def fit_quadratic(p: ArrayLike, y: ArrayLike) -> Quadratic:
    """Least log loss over both slopes >= 0 and the intercept; the ends are the 2.5% and 97.5% quantiles of logit(p)."""
    p, y = checked(p, y)
    (low, high), (slope_low, slope_high), intercept = fit_slopes(logit(p), y, quantiles=ENDS)
    return Quadratic(float(low), float(high), float(slope_low), float(slope_high), intercept)
