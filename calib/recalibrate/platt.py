"""Platt scaling on logits: how loud the confidences are, and where their middle is."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from routecal.calib.checks import FloatArray, checked, checked_p, logit
from routecal.calib.recalibrate.monotone import monotone_logistic


@dataclass(frozen=True)
class Platt:
    """sigmoid(slope * logit(p) + intercept): also moves the mean; non-decreasing.

    Platt 1999, on logits instead of SVM margins. Fed with probabilities instead of logits it is one of the worst
    recalibrators there are; hence the logit.

    >>> Platt(slope=1.0, intercept=0.0)([0.25]).round(12).tolist()
    [0.25]
    """

    slope: float
    intercept: float
    name: ClassVar[str] = "platt"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return np.asarray(expit(self.slope * logit(checked_p(p)) + self.intercept))


def platt_parameters(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """(slope, intercept) of the regularised logistic regression of y on one logit x.

        min  sum_i log(1 + exp(-(2y_i - 1)(a x_i + b))) + (a-1)²/2 + b²/8,   a >= 0

    `monotone_logistic` with x as the only feature; the priors are explained there.

    >>> a, b = platt_parameters(np.array([-1.0, 1.0] * 500), np.array([0.0, 1.0] * 250 + [1.0, 0.0] * 250))
    >>> round(a, 2), round(b, 2)  # x says nothing here
    (0.0, 0.0)
    """
    slope, intercept = monotone_logistic(x[:, None], y)
    return float(slope[0]), intercept


def fit_platt(p: ArrayLike, y: ArrayLike) -> Platt:
    """Slope and intercept by `platt_parameters` on logit(p)."""
    p, y = checked(p, y)
    slope, intercept = platt_parameters(logit(p), y)
    return Platt(slope, intercept)
