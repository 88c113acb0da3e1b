"""Temperature: one parameter for how loud the confidences are."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from routecal.calib.checks import FloatArray, checked, checked_p, logit


@dataclass(frozen=True)
class Temperature:
    """sigmoid(logit(p) / temperature): above 1 it moves every p towards .5; increasing.

    Guo et al. 2017, arXiv:1706.04599, section 4.2, in its binary form. It cannot move the mean where confidences lie
    on both sides of .5: a router that is right less often than it says, but not louder, needs Platt.

    >>> Temperature(2.0)([0.9]).round(4).tolist()  # odds 9 become odds 3
    [0.75]
    """

    temperature: float
    name: ClassVar[str] = "temperature"

    def __call__(self, p: ArrayLike) -> FloatArray:
        return np.asarray(expit(logit(checked_p(p)) / self.temperature))


def fit_temperature(p: ArrayLike, y: ArrayLike) -> Temperature:
    """Temperature of least log loss in [.05, 20], with the prior log T ~ N(0, 1) that decides where rows do not.

    >>> fit_temperature([0.9] * 4, [1, 1, 1, 0]).temperature > 1  # overconfident
    True
    """
    from scipy.optimize import minimize

    p, y = checked(p, y)
    x, sign = logit(p), 2 * y - 1

    def objective(s: FloatArray) -> tuple[float, FloatArray]:
        slack = -sign * x * np.exp(-s[0])
        return float(np.logaddexp(0, slack).sum() + s[0] ** 2 / 2), np.array([-(expit(slack) @ slack) + s[0]])

    best = minimize(objective, np.zeros(1), jac=True, method="L-BFGS-B", bounds=[(np.log(0.05), np.log(20))])
    return Temperature(float(np.exp(best.x[0])))
