"""Heads for `tests.bench.nights` that train in milliseconds: logistic regression, and a recalibrator chosen as ever."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from routecal.calib.checks import FloatArray
from routecal.calib.examples import Examples
from routecal.calib.recalibrate import Identity, Recalibrator, choose_recalibrator

# Weight of the Gaussian prior: around zero from scratch; around the serving head's weights, as short training stays.
RIDGE, STAY = 1.0, 30.0
STEPS = 8


@dataclass(frozen=True)
class Head:
    """What a trained head says of examples."""

    weights: FloatArray
    recalibrator: Recalibrator

    def raw(self, examples: Examples) -> FloatArray:
        """(n,) before recalibration."""
        return np.asarray(expit(_inputs(examples) @ self.weights))

    def __call__(self, examples: Examples) -> FloatArray:
        return self.recalibrator(self.raw(examples))


def fit(rows: Examples, *, start: Head | None = None) -> Head:
    """A head of the train split, from scratch or from another one's weights; recalibrated on the rest."""
    train, rest = rows.only("train"), rows.only("calibration", "validation")
    x, y = _inputs(train), train.y.astype(np.float64)
    centre = np.zeros(x.shape[1]) if start is None else start.weights
    ridge = RIDGE if start is None else STAY
    weights = centre.copy()
    for _ in range(STEPS):  # Newton's
        p = expit(x @ weights)
        slope = x.T @ (p - y) + ridge * (weights - centre)
        curve = (x.T * (p * (1 - p))) @ x + ridge * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return Head(weights, choose_recalibrator(Head(weights, Identity()).raw(rest), rest.y).recalibrator)


def _inputs(examples: Examples) -> NDArray[np.float64]:
    """The margin of the router's first choice, the hidden state, and a constant."""
    z = np.sort(examples.logits.astype(np.float64), axis=1)
    return np.column_stack([z[:, -1] - z[:, -2], examples.hidden, np.ones(len(z))])
