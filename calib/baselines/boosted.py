"""Gradient boosting: whether the signal bends in a way that neither a line nor a small MLP finds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from routecal.calib.baselines.predictors import N_FOLDS, Predictor, constant, deal, learnable, recalibrated
from routecal.calib.baselines.router_columns import router_columns
from routecal.calib.checks import FloatArray
from routecal.calib.components import Reduced
from routecal.calib.examples import Examples
from routecal.calib.metrics.proper import log_loss_rows

N_COMPONENTS = 50
MOST_TREES = 200
STEP = 25


@dataclass(frozen=True, eq=False)
class Boosted:
    """Trees on the principal components of the hidden state and the router's outputs."""

    reduced: Reduced
    trees: HistGradientBoostingClassifier

    def __call__(self, examples: Examples) -> FloatArray:
        return np.asarray(self.trees.predict_proba(_columns(examples, self.reduced))[:, 1])


def boosting(labelled: Examples, *, seed: int = 0) -> Predictor:
    """Histogram gradient boosting on 50 principal components and the router's outputs, then the best recalibrator.

    The number of trees has the least log loss over all rows of a 5-fold cross-validation, none included; a validation
    part inside each fold, as early stopping takes it, is a fifth of that and stops by luck. The trees that are kept are
    fitted on all rows, the recalibrator is chosen on the same held-out confidences. Without five rows of each class,
    or where the first tree already does harm, it is the constant.

    Raises:
        TooFewExamples: there is no labelled row.
    """
    if not learnable(labelled):
        return constant(labelled)
    y = labelled.y.astype(np.float64)
    # one thread: gradients summed by two come out in another order, and the same seed in another forest
    with threadpool_limits(1):
        reduced = Reduced.of(labelled.hidden, n_components=N_COMPONENTS)
        x = _columns(labelled, reduced)
        best, held_out = _staged(x, y, deal(y, seed=seed), seed=seed)
        if not best:
            return constant(labelled)
        kept = small_trees(best, seed=seed).fit(x, y)
    return recalibrated(Boosted(reduced, kept), held_out, y, seed=seed)


def _staged(x: FloatArray, y: FloatArray, fold: NDArray[np.int64], *, seed: int) -> tuple[int, FloatArray]:
    """(number of trees, its held-out p) of least log loss; the path ends a step behind its best."""
    folds = [(fold == k, small_trees(STEP, seed=seed)) for k in range(N_FOLDS)]
    # row t: held-out confidences after t trees
    staged = np.empty((MOST_TREES + 1, len(y)))
    for out, _ in folds:
        staged[0, out] = y[~out].mean()
    best = 0
    for stop in range(STEP, MOST_TREES + 1, STEP):
        for out, trees in folds:
            trees.set_params(max_iter=stop).fit(x[~out], y[~out])
            staged[1 : stop + 1, out] = [p[:, 1] for p in trees.staged_predict_proba(x[out])]
        best = int(np.argmin([log_loss_rows(p, y).mean() for p in staged[: stop + 1]]))
        if best <= stop - STEP:
            break
    return best, staged[best]


def _columns(examples: Examples, reduced: Reduced) -> FloatArray:
    return np.hstack([reduced(examples.hidden), router_columns(examples)])


def small_trees(trees: int, *, seed: int) -> HistGradientBoostingClassifier:
    """So many small, slow trees: on 1,000 rows the defaults of scikit-learn fit noise from the first tree on."""
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=trees,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        warm_start=True,
        random_state=seed,
    )
