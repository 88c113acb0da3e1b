"""Nearest neighbours: how often the router was right on the labelled queries most like this one."""

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from routecal.calib.baselines.predictors import Predictor, constant, learnable, recalibrated
from routecal.calib.checks import FloatArray
from routecal.calib.components import Reduced
from routecal.calib.examples import Examples
from routecal.calib.metrics.proper import log_loss_rows

N_COMPONENTS = 50
NEIGHBOURS = (5, 10, 20, 50, 100, 200, 500)
PSEUDO_ROWS = (2.0, 8.0, 32.0)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """(right ones among the k nearest + m * base rate) / (k + m)."""

    reduced: Reduced
    x: FloatArray
    y: FloatArray
    k: int
    pseudo_rows: float

    def __call__(self, examples: Examples) -> FloatArray:
        with threadpool_limits(1):
            near = NearestNeighbors(n_neighbors=self.k, algorithm="brute").fit(self.x)
            found = near.kneighbors(self.reduced(examples.hidden), return_distance=False)
        right, base = self.y[found].sum(axis=1), self.y.mean()
        return np.asarray((right + self.pseudo_rows * base) / (self.k + self.pseudo_rows))


def neighbours(labelled: Examples, *, seed: int = 0) -> Predictor:
    """The k nearest labelled queries in 50 principal components of the hidden state, smoothed to the base rate.

    k and the weight m of the base rate have the least log loss when every row is predicted from the others (leave one
    out); the recalibrator is chosen on the same confidences. Without five rows of each class it is the constant.

    Raises:
        TooFewExamples: there is no labelled row.
    """
    if not learnable(labelled):
        return constant(labelled)
    y, n = labelled.y.astype(np.float64), len(labelled)
    with threadpool_limits(1):
        reduced = Reduced.of(labelled.hidden, n_components=N_COMPONENTS)
        x = reduced(labelled.hidden)
        most = min(NEIGHBOURS[-1], n - 1)
        # without a query of its own, scikit-learn leaves each row out of its own neighbours
        nearest = NearestNeighbors(n_neighbors=most, algorithm="brute").fit(x).kneighbors(return_distance=False)
    right = np.cumsum(y[nearest], axis=1)
    base = (y.sum() - y) / (n - 1)
    tried = {(k, m): (right[:, k - 1] + m * base) / (k + m) for k in NEIGHBOURS if k <= most for m in PSEUDO_ROWS}
    k, m = min(tried, key=lambda pair: float(log_loss_rows(tried[pair], y).mean()))
    return recalibrated(Neighbours(reduced, x, y, k, m), tried[k, m], y, seed=seed)
