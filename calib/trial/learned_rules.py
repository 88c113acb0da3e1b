"""Decision rules that learn from outcomes: what the joint outcome head has to beat, on the same columns as it reads.

All are cross-fitted on the same folds as the head: a labelled row is told by the models that left its fold out, a test
row by the mean of all of them. Whatever strength there is has the least held-out loss on the labelled rows.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors

from routecal.calib.baselines.boosted import small_trees
from routecal.calib.baselines.router_columns import router_columns
from routecal.calib.checks import FloatArray
from routecal.calib.learn.cross_fit import FOLDS
from routecal.calib.metrics.proper import log_loss_rows
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.outcome.utility_rl import UtilityConfig
from routecal.calib.trial.decision_rows import Answer, Decided, DecisionRows

# Inverse penalties of logistic regressions, penalties of ridge regressions: half a decade apart.
STRENGTHS = tuple(float(c) for c in np.logspace(-4, -1, 7))
PENALTIES = tuple(float(a) for a in np.logspace(1.5, 4.5, 7))
NEIGHBOURS = (5, 10, 20, 50, 100, 200)
# Components that distances and trees are taken in, as of the baselines of the confidence.
FEW = 50
# Rows of a class below which a regression on it is its base rate.
LEAST = 2 * FOLDS
MOST_TREES = 150

# Held-out values of the labelled rows and values of the test rows.
Pair = tuple[FloatArray, FloatArray]


def joint_outcome(rows: DecisionRows, *, seed: int = 0, decisions: UtilityConfig | None = None) -> Answer:
    """The joint outcome head: need is the expected gain of the large model. It may be trained on by decisions."""
    if decisions is not None:
        decisions = decisions.model_copy(update={"seed": seed})
    known = (rows.blocks, rows.labelled.logits, rows.cell, rows.fold, rows.cells)
    head = fit_outcome(*known, decisions=decisions).head
    own = head.out_of_fold(rows.blocks, rows.labelled.logits, rows.fold)
    test = head.probabilities(rows.test_blocks, rows.test.logits)
    return Answer(_of_cells(own, rows.cells, rows.labelled.policy), _of_cells(test, rows.cells, rows.test.policy))


def medium_wrong(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Need is the probability that the medium model is wrong, whatever the large one makes of the query."""
    return Answer(*(Decided(1 - p, medium_right=p) for p in logistic(rows, rows.medium_right)))


def win_rate(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Need is the probability that the large model is strictly better, as RouteLLM's classifiers have it.

    Ong et al. 2024, arXiv:2406.18665, section 4. Departs from it: a regression on frozen states, and ties count as no
    win, as grades tell them from losses.
    """
    return Answer(*(Decided(p) for p in logistic(rows, (rows.gain > 0).astype(np.float64))))


def two_heads(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Two regressions, one for each model; need is their difference."""
    pairs = zip(logistic(rows, rows.medium_right), logistic(rows, rows.large_right), strict=True)
    return Answer(*(Decided(large - medium, medium_right=medium, large_right=large) for medium, large in pairs))


def ridge(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Need is a ridge regression of the gain itself."""
    models = [lambda a=a: Ridge(a) for a in PENALTIES]
    found = _strongest(rows, rows.gain, models, lambda model, x: model.predict(x), lambda v, y: (v - y) ** 2)
    return Answer(*(Decided(need) for need in found))


def neighbours(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Need is the mean gain of the nearest labelled queries; their number has the least held-out squared error."""
    held = np.empty((len(rows.cell), len(NEIGHBOURS)))
    test = np.zeros((len(rows.test), len(NEIGHBOURS)))
    for taught in _folds(rows):
        x, gain = rows.x[taught, :FEW], rows.gain[taught]
        held[~taught] = _means_of_nearest(x, gain, rows.x[~taught, :FEW])
        test += _means_of_nearest(x, gain, rows.test_x[:, :FEW]) / FOLDS
    best = int(((held - rows.gain[:, None]) ** 2).mean(axis=0).argmin())
    return Answer(Decided(held[:, best]), Decided(test[:, best]))


def boosting(rows: DecisionRows, *, seed: int = 0) -> Answer:
    """Gradient-boosted trees over the cells: need is the gain, and everything else a sum over cells, as of the head."""
    x, test_x = _few_columns(rows, rows.x), _few_columns(rows, rows.test_x)
    n, k = len(rows.cell), len(rows.cells)
    held, forests = np.empty((MOST_TREES, n, k)), []
    for taught in _folds(rows):
        forests.append(small_trees(MOST_TREES, seed=seed).fit(x[taught], rows.cell[taught]))
        for t, p in enumerate(forests[-1].staged_predict_proba(x[~taught])):
            held[t][~taught] = _all_cells(p, forests[-1].classes_, k)
    loss = -np.log(np.maximum(held[:, np.arange(n), rows.cell], 1e-12)).mean(axis=1)
    best = int(loss.argmin())
    test = np.zeros((len(test_x), k))
    for trees in forests:
        p = next(islice(trees.staged_predict_proba(test_x), best, None))
        test += _all_cells(p, trees.classes_, k) / FOLDS
    return Answer(
        _of_cells(held[best], rows.cells, rows.labelled.policy), _of_cells(test, rows.cells, rows.test.policy)
    )


def logistic(rows: DecisionRows, target: FloatArray) -> Pair:
    """P(target = 1) by a regression of the strength of least held-out log loss; the base rate where it is too rare."""
    if min(target.sum(), len(target) - target.sum()) < LEAST:
        base = (target.sum() + 0.5) / (len(target) + 1)
        return np.full(len(target), base), np.full(len(rows.test), base)
    models = [lambda c=c: LogisticRegression(C=c, max_iter=1000) for c in STRENGTHS]
    return _strongest(rows, target, models, lambda model, x: model.predict_proba(x)[:, 1], log_loss_rows)


def _strongest(
    rows: DecisionRows,
    target: FloatArray,
    models: Sequence[Callable[[], Any]],
    predict: Callable[[Any, FloatArray], FloatArray],
    loss: Callable[[FloatArray, FloatArray], FloatArray],
) -> Pair:
    """Held-out values of the model of least mean loss, and the mean of its folds' on test rows."""
    tried: list[tuple[float, FloatArray, list[Any]]] = []
    for make in models:
        held, fitted = np.empty(len(target)), []
        for taught in _folds(rows):
            fitted.append(make().fit(rows.x[taught], target[taught]))
            held[~taught] = predict(fitted[-1], rows.x[~taught])
        tried.append((float(loss(held, target).mean()), held, fitted))
    _, held, fitted = min(tried, key=lambda one: one[0])
    return held, np.mean([predict(model, rows.test_x) for model in fitted], axis=0)


def _folds(rows: DecisionRows) -> Iterator[NDArray[np.bool_]]:
    """For each fold, the rows that teach its model."""
    return (rows.fold != k for k in range(FOLDS))


def _means_of_nearest(x: FloatArray, gain: FloatArray, asked: FloatArray) -> FloatArray:
    """(n, len(NEIGHBOURS)) mean gain of so many rows of x nearest to each row asked about."""
    k = np.minimum(NEIGHBOURS, len(x))
    near = NearestNeighbors(n_neighbors=int(k[-1]), algorithm="brute").fit(x)
    found = near.kneighbors(asked, return_distance=False)
    return np.asarray(np.cumsum(gain[found], axis=1)[:, k - 1] / k)


def _few_columns(rows: DecisionRows, x: FloatArray) -> FloatArray:
    """What trees split on: the first components of the first block, and the router's outputs, which stand behind it."""
    per_block = x.shape[1] // len(rows.blocks)
    components = per_block - router_columns(rows.test).shape[1]
    return np.hstack([x[:, : min(FEW, components)], x[:, components:per_block]])


def _all_cells(p: FloatArray, known: NDArray[np.int64], k: int) -> FloatArray:
    """(n, k) from the probabilities of the cells that a fold holds."""
    found = np.zeros((len(p), k))
    found[:, known] = p
    return found


def _of_cells(p: FloatArray, cells: Cells, policy: NDArray[np.int64]) -> Decided:
    return Decided(cells.gain(p), cells.medium_right(p), cells.large_right(p), cells.confidence(p, policy))
