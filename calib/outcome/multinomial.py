"""Multinomial regression with a ridge penalty and an offset: what is known beforehand, and what rows add to it."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from routecal.calib.checks import FloatArray

_ITERATIONS = 500
# Of the intercepts: enough for a cell that no row has, nothing else.
_FREE = 1e-3


def fit_multinomial(
    x: FloatArray,
    cell: NDArray[np.int64],
    offset: FloatArray,
    *,
    penalty: float,
    start: FloatArray | None = None,
) -> FloatArray:
    """(d + 1, k) weights W, the intercepts last, of least

        - sum_i log softmax(offset_i + [x_i, 1] W)[cell_i]  +  penalty / 2 · |W|²

    The penalty pulls towards the offset, not towards even odds; intercepts are hardly penalised. Convex: L-BFGS finds
    the one optimum from anywhere.

    Args:
        x: (n, d).
        cell: (n,) in 0 … k - 1.
        offset: (n, k) log odds to start from.
        penalty: > 0.
        start: (d + 1, k) where to begin; default 0.
    """
    n, k = offset.shape
    columns = np.column_stack([x, np.ones(n)])
    strength = np.append(np.full(x.shape[1], penalty), _FREE)[:, None]
    outcome = np.zeros((n, k))
    outcome[np.arange(n), cell] = 1.0

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        w = flat.reshape(-1, k)
        z = offset + columns @ w
        value = -(log_softmax(z, axis=1) * outcome).sum() + 0.5 * (strength * w * w).sum()
        return float(value), (columns.T @ (softmax(z, axis=1) - outcome) + strength * w).ravel()

    from scipy.optimize import minimize  # here: a head that is served is fitted, and opens without it

    begin = np.zeros((columns.shape[1], k)) if start is None else start
    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return np.asarray(found.x.reshape(-1, k))


def log_odds(x: FloatArray, weights: FloatArray, offset: FloatArray) -> FloatArray:
    """(n, k): offset + [x, 1] W."""
    return np.asarray(offset + x @ weights[:-1] + weights[-1])
