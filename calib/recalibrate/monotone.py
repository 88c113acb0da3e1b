"""Logistic regression on increasing features with weights >= 0: the fit behind Platt, beta, quadratic and spline.

Each of them says logit(q) = b + sum_j w_j g_j(p) with every g_j non-decreasing and w = 1, b = 0 the identity; they
differ only in g. Weights below 0 would reverse the ranking on a whim of noise, so they are excluded.
"""

import numpy as np
from scipy.special import expit

from routecal.calib.checks import FloatArray

# Narrower than this in logit, knots would describe rounding, not confidence.
LEAST_GAP = 1e-3


def monotone_logistic(g: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Weights (m,) >= 0 and intercept of the regularised logistic regression of y on features g.

        min  sum_i log(1 + exp(-(2y_i - 1)(g_i w + b))) + |w - 1|²/2 + b²/8,   w >= 0

    The normal priors w ~ N(1, 1), b ~ N(0, 4) say "leave it as it is" where rows are few or of one class, and weigh
    nothing at hundreds of rows. Convex, so what is found is the minimum.

    Args:
        g: (n, m) features, each non-decreasing in p.
        y: (n,) {0, 1}.

    >>> weights, intercept = monotone_logistic(np.zeros((2, 1)), np.array([0.0, 1.0]))  # nothing to learn from
    >>> weights.round(6).tolist(), round(abs(intercept), 6)
    ([1.0], 0.0)
    """
    from scipy.optimize import minimize

    m, sign = g.shape[1], 2 * y - 1

    def objective(wb: FloatArray) -> tuple[float, FloatArray]:
        w, b = wb[:m], wb[m]
        slack = -sign * (g @ w + b)
        pull = -sign * expit(slack)
        value = np.logaddexp(0, slack).sum() + np.square(w - 1).sum() / 2 + b**2 / 8
        return float(value), np.append(pull @ g + (w - 1), pull.sum() + b / 4)

    start, bounds = np.append(np.ones(m), 0.0), [(0, None)] * m + [(None, None)]
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return best.x[:m], float(best.x[m])


def rise(z: FloatArray, knots: FloatArray, slopes: FloatArray) -> FloatArray:
    """How much a curve of the given slopes climbs from 0 to z; negative below 0.

    The slope is linear between knots and constant beyond the outer two, so the curve is piecewise quadratic, smooth,
    and straight at both ends: an I-spline (Ramsay 1988) with linear tails. Slopes all 1 give z itself.

    Args:
        z: (n,).
        knots: (m,) ascending, m >= 2.
        slopes: (m,) at the knots.

    >>> rise(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0]), np.array([0.0, 2.0])).tolist()  # z² to 1, then 2z - 1
    [0.0, 1.0, 5.0]
    """
    width = np.diff(knots)
    height = np.append(0.0, np.cumsum(width * (slopes[:-1] + slopes[1:]) / 2))

    def at(z: FloatArray) -> FloatArray:
        j = np.clip(np.searchsorted(knots, z, side="right") - 1, 0, len(knots) - 2)
        inside = np.clip(z, knots[0], knots[-1]) - knots[j]
        bend = (slopes[j + 1] - slopes[j]) / (2 * width[j])
        tails = slopes[0] * np.minimum(z - knots[0], 0) + slopes[-1] * np.maximum(z - knots[-1], 0)
        return np.asarray(height[j] + inside * (slopes[j] + bend * inside) + tails)

    return at(z) - at(np.zeros(1))


def fit_slopes(z: FloatArray, y: FloatArray, *, quantiles: tuple[float, ...]) -> tuple[FloatArray, FloatArray, float]:
    """(knots, slopes, intercept) of the increasing curve of least log loss with knots at quantiles of z.

    Knots that fall together (many equal confidences) are merged; where fewer than two are left, the curve is a line.
    """
    knots = np.quantile(z, quantiles)
    knots = knots[np.append(True, np.diff(knots) >= LEAST_GAP)]
    if len(knots) < 2:
        knots = knots[0] + np.array([-0.5, 0.5])
    g = np.column_stack([rise(z, knots, one) for one in np.eye(len(knots))])
    slopes, intercept = monotone_logistic(g, y)
    return knots, slopes, intercept
