"""The logistic probe: the baseline that trained heads most often fail to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from routecal.calib.baselines.predictors import N_FOLDS, Predictor, constant, deal, learnable, recalibrated
from routecal.calib.baselines.router_columns import router_columns
from routecal.calib.checks import FloatArray
from routecal.calib.components import Standard
from routecal.calib.examples import Examples
from routecal.calib.metrics.proper import log_loss_rows

# Inverse strengths of the L2 penalty, half a decade apart; the path ends PATIENCE steps behind its best.
STRENGTHS = tuple(float(c) for c in np.logspace(-5, 1, 13))
PATIENCE = 2

# The router's columns are few and known to matter: scaled by this they are penalised a hundred times less. Brier × 1e-4
# at scale 1, 3, 10, 30, mean of three sets x two splits of the benchmark's router rows, which no label or test comes
# from: 1979, 1955, 1954, 1958 with a regularised router, 2005, 1944, 1940, 1947 with an overconfident one.
EMPHASIS = 10.0


@dataclass(frozen=True, eq=False)
class Probe:
    """sigmoid(w · standardised hidden state + b), with the router's outputs as more columns where `router` is given."""

    hidden: Standard
    router: Standard | None
    weights: FloatArray
    intercept: float

    def __call__(self, examples: Examples) -> FloatArray:
        x = _columns(examples, self.hidden, self.router)
        return np.asarray(expit(x @ self.weights + self.intercept))


def probe(labelled: Examples, *, seed: int = 0) -> Predictor:
    """L2-regularised logistic regression on the hidden state, then the best recalibrator.

    The strength has the least log loss in 5-fold cross-validation; the recalibrator is chosen on the same held-out
    confidences (`recalibrate.choose`), the probe itself is fitted on all rows. No class weights: they would shift every
    confidence. Without five rows of each class it is the constant.

    Raises:
        TooFewExamples: there is no labelled row.
    """
    return _fit(labelled, with_router=False, seed=seed)


def probe_with_logit(labelled: Examples, *, seed: int = 0) -> Predictor:
    """`probe` with the router's outputs beside the hidden state: the strongest challenger of a residual head.

    Raises:
        TooFewExamples: there is no labelled row.
    """
    return _fit(labelled, with_router=True, seed=seed)


def _fit(labelled: Examples, *, with_router: bool, seed: int) -> Predictor:
    if not learnable(labelled):
        return constant(labelled)
    hidden = Standard.of(labelled.hidden)
    router = Standard.of(router_columns(labelled)) if with_router else None
    x, y = _columns(labelled, hidden, router), labelled.y.astype(np.float64)
    # one thread: matrices this small lose more to the second one than they gain, and its sums are in another order
    with threadpool_limits(1):
        strength, held_out = strength_path(x, y, deal(y, seed=seed), STRENGTHS, patience=PATIENCE)
        model = _regression(strength).fit(x, y)
    found = Probe(hidden, router, model.coef_[0], float(model.intercept_[0]))
    return recalibrated(found, held_out, y, seed=seed)


def _columns(examples: Examples, hidden: Standard, router: Standard | None) -> FloatArray:
    x = hidden(examples.hidden)
    return x if router is None else np.hstack([x, EMPHASIS * router(router_columns(examples))])


def strength_path(
    x: FloatArray, y: FloatArray, fold: NDArray[np.int64], strengths: Sequence[float], *, patience: int
) -> tuple[float, FloatArray]:
    """(strength, held-out p (n,)) of least log loss; each strength starts where the stronger penalty before it ended.

    Args:
        x: (n, d) columns.
        y: (n,) {0, 1}.
        fold: (n,) as `predictors.deal` deals them.
        strengths: inverse penalties, ascending.
        patience: strengths beyond the best so far that are still tried.
    """
    models = [_regression(strengths[0]) for _ in range(N_FOLDS)]
    found: list[tuple[float, float, FloatArray]] = []
    for strength in strengths:
        p = np.empty(len(y))
        for k, model in enumerate(models):
            model.set_params(C=strength).fit(x[fold != k], y[fold != k])
            p[fold == k] = model.predict_proba(x[fold == k])[:, 1]
        found.append((float(log_loss_rows(p, y).mean()), strength, p))
        if len(found) - 1 - int(np.argmin([loss for loss, _, _ in found])) >= patience:
            break
    _, strength, p = min(found, key=lambda row: row[0])
    return strength, p


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, warm_start=True, max_iter=5000)
