"""Ensemble temperature scaling: a temperature, hedged with what was said and with .5."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import EPS, FloatArray, checked, checked_p
from routecal.calib.recalibrate.temperature import Temperature, fit_temperature

# Rate of the exponential prior on the two hedging weights: they stay 0 until more than four nats speak for them.
RATE = 4.0


@dataclass(frozen=True)
class ETS:
    """A mixture of the tempered confidence, the confidence as it is, and one half; non-decreasing.

        q = (1 - as_is - half) * sigmoid(logit(p) / temperature) + as_is * p + half / 2

    Zhang et al. 2020, arXiv:2003.07329, eq. 8, with two classes. Against temperature it adds that even the surest
    confidence is sometimes wrong: q stays within [half/2, 1 - half/2]. Like temperature it treats p and 1 - p alike, so
    it cannot move the mean from one side of .5 to the other.

    >>> ETS(temperature=1.0, as_is=0.0, half=0.2)([1.0, 0.5]).round(4).tolist()
    [0.9, 0.5]
    """

    temperature: float
    as_is: float
    half: float
    name: ClassVar[str] = "ets"

    def __call__(self, p: ArrayLike) -> FloatArray:
        p = checked_p(p)
        tempered = Temperature(self.temperature)(p)
        return np.asarray((1 - self.as_is - self.half) * tempered + self.as_is * p + self.half * 0.5)


def fit_ets(p: ArrayLike, y: ArrayLike) -> ETS:
    """The temperature of `fit_temperature`, then the weights of least log loss; both steps convex.

        min over as_is, half >= 0 with as_is + half <= 1:   -sum_i log q_i(y_i) + 4 (as_is + half)

    The paper's two steps; the last term is ours and keeps few rows from hedging (it weighs nothing at hundreds).

    >>> fit_ets([0.9], [1]).half
    0.0
    """
    from scipy.optimize import minimize

    p, y = checked(p, y)
    tempered = fit_temperature(p, y)
    said = np.clip(np.where(y == 1, p, 1 - p), EPS, 1.0)
    first = np.where(y == 1, tempered(p), 1 - tempered(p))
    others = np.column_stack([said - first, 0.5 - first])
    n = len(p)

    def objective(w: FloatArray) -> tuple[float, FloatArray]:
        # no mixture has a zero: tempered confidences are those of clipped logits
        q = np.maximum(first + others @ w, EPS)
        return float((RATE * w.sum() - np.log(q).sum()) / n), (RATE - (1 / q) @ others) / n

    best = minimize(
        objective,
        np.zeros(2),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1), (0, 1)],
        constraints={"type": "ineq", "fun": lambda w: 1 - w.sum(), "jac": lambda w: -np.ones(2)},
        options={"ftol": 1e-10},
    )
    as_is, half = np.clip(best.x, 0, 1)
    # SLSQP may overstep the simplex by rounding; a negative weight of the tempered part would reverse the ranking
    total = max(1.0, float(as_is + half))
    return ETS(tempered.temperature, float(as_is / total), float(half / total))
