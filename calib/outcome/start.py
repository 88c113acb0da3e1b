"""Where the outcome head starts: the base rates of the cells, or the router's own opinion at a temperature.

A router that was fitted with care knows much of what the hidden state can say, and few labels improve on it. An
overconfident one knows little, and the base rates are the better start. The head starts from both and takes the mean
(`calib.outcome.fit`).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from routecal.calib.checks import FloatArray
from routecal.calib.outcome.cells import Cells

# A router that is surer than this says no more by it; in log probability.
_LEAST_LOG_Q = -30.0
# Rows that every cell is given beforehand.
_BEFOREHAND = 0.5
# Pulls the intercepts to the base rates: as much as a tenth of a row.
_PULL = 0.1


@dataclass(frozen=True, eq=False)
class OutcomeStart:
    """z_k = temperature · log q(policy of cell k) + bias_k, with q the router's probabilities.

    Attributes:
        temperature: what log q is multiplied by; 0 leaves the router out.
        bias: (k,).
    """

    temperature: float
    bias: FloatArray

    @classmethod
    def base_rates(cls, cell: NDArray[np.int64], cells: Cells) -> Self:
        """The share of rows in every cell, half a row added to each.

        >>> start = OutcomeStart.base_rates(np.array([0, 0, 0, 1]), Cells((1, 0), (1, 1), (0, 1)))
        >>> np.exp(start.bias).round(2).tolist()
        [0.7, 0.3]
        """
        counts = np.bincount(cell, minlength=len(cells)) + _BEFOREHAND
        return cls(0.0, np.log(counts / counts.sum()))

    @classmethod
    def router(cls, logits: NDArray[np.floating], cell: NDArray[np.int64], cells: Cells) -> Self:
        """Temperature and intercepts of greatest likelihood.

        Args:
            logits: (n, 3) of the router, in the order of `calib.policy.POLICIES`.
            cell: (n,) index into `cells`.
            cells: the joint outcomes.
        """
        prior = cls.base_rates(cell, cells).bias
        said = log_q(logits)[:, list(cells.policy)]
        outcome = np.eye(len(cells))[cell]

        def loss(w: FloatArray) -> tuple[float, FloatArray]:
            z = w[0] * said + w[1:]
            off = softmax(z, axis=1) - outcome
            value = -(log_softmax(z, axis=1) * outcome).sum() + 0.5 * _PULL * ((w[1:] - prior) ** 2).sum()
            return float(value), np.append((off * said).sum(), off.sum(axis=0) + _PULL * (w[1:] - prior))

        from scipy.optimize import minimize  # here: a head that is served is fitted, and opens without it

        found = minimize(loss, np.append(0.0, prior), jac=True, method="L-BFGS-B").x
        return cls(float(found[0]), np.asarray(found[1:]))

    def __call__(self, logits: NDArray[np.floating], cells: Cells) -> FloatArray:
        """(n, k) log odds."""
        return np.asarray(self.temperature * log_q(logits)[:, list(cells.policy)] + self.bias)


def log_q(logits: NDArray[np.floating]) -> FloatArray:
    """(n, c) log probabilities of the router, at least -30."""
    return np.asarray(np.maximum(log_softmax(np.asarray(logits, np.float64), axis=1), _LEAST_LOG_Q))
