"""The outcome head as a scikit-learn estimator: arrays in, probabilities of the joint outcome out."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.checks import FloatArray
from routecal.calib.errors import InvalidLabel, LengthMismatch, OutOfRange
from routecal.calib.learn.cross_fit import FOLDS, fold_of
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.policy import POLICIES

# Columns of `predict_proba`. Of answers that are right or wrong the default matrix makes these policies.
_CELLS = Cells(medium=(1, 1, 0, 0), large=(1, 0, 1, 0), policy=(0, 0, 1, 2))
_BLOCK = "hidden"


class OutcomeEstimator(BaseEstimator):  # type: ignore[misc]
    """P(medium right, large right | hidden state, logits): multinomial ridge, cross-fitted, started as the rows say.

    The sibling of `ConfidenceEstimator` for decisions: what a query gains by the large model is P(large right) minus
    P(medium right), and it pays where that gain, times what a right answer is worth, exceeds the difference in price.
    The same as the outcome head of `routecal calibrate`, but for grades that are right or wrong.

    A middle layer, the mean over the prompt's tokens, says more about the gain than the last layer's last token does.

    `fit` takes no weights: probabilities from reweighted rows are not calibrated. Rows are dealt to folds one by one:
    of several versions of one query hand over one.

    Args:
        random_state: seed of the deal to folds.

    Attributes:
        n_features_in_: width of `hidden`.
        head_: the fitted `OutcomeHead`.
        table_: every start and penalty that cross-validation tried, with the held-out log loss.
        with_logits_: whether `fit` was given logits; predictions then need them too.

    >>> rng = np.random.default_rng(0)
    >>> hidden = rng.normal(size=(400, 3))
    >>> medium = rng.random(400) < 1 / (1 + np.exp(-3 * hidden[:, 0]))
    >>> estimator = OutcomeEstimator().fit(hidden, medium, np.ones(400))
    >>> hard, easy = estimator.gain([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> bool(hard > 0.8), bool(easy < 0.1)
    (True, True)
    """

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(
        self,
        hidden: ArrayLike,
        medium_right: ArrayLike,
        large_right: ArrayLike | None = None,
        logits: ArrayLike | None = None,
    ) -> Self:
        """Learn from rows that both models have answered.

        Args:
            hidden: (n, d), n at least 10.
            medium_right: (n,) {0, 1} or bool, whether the medium model is right; or (n, 2) with both columns, as
                scikit-learn hands over targets.
            large_right: (n,) the same of the large model; left out with (n, 2).
            logits: (n, 3) of the router, in the order of `POLICIES`; None: there is no router.

        Raises:
            LengthMismatch: columns differ in length, or there are not two of them.
            InvalidLabel: an outcome is neither 0 nor 1.
            OutOfRange: fewer than 10 rows.
            ValueError: NaN, infinity, or another shape, as everywhere in scikit-learn.
        """
        x = validate_data(self, hidden, dtype=np.float64)
        outcome = _pair(medium_right, large_right, len(x))
        if len(x) < 2 * FOLDS:
            raise OutOfRange("number of rows", len(x), f"at least {2 * FOLDS}")
        self.with_logits_ = logits is not None
        said = self._logits(logits, len(x))
        cell = (1 - outcome[:, 0]) * 2 + 1 - outcome[:, 1]
        fold = fold_of(np.random.default_rng(self.random_state).permutation(len(x)) / len(x), FOLDS)
        found = fit_outcome({_BLOCK: x}, said, cell, fold, _CELLS)
        self.head_, self.table_ = found.head, found.table
        return self

    def predict_proba(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> FloatArray:
        """(n, 4): P(both right), P(only medium), P(only large), P(neither); rows sum to 1.

        Args:
            hidden: (n, d).
            logits: (n, 3), if and only if `fit` had them.

        Raises:
            FeatureMismatch: logits are missing, or were not there in `fit`.
            NotFittedError, ValueError: as everywhere in scikit-learn.
        """
        check_is_fitted(self)
        x = validate_data(self, hidden, dtype=np.float64, reset=False)
        if (logits is not None) != self.with_logits_:
            raise FeatureMismatch("router outputs", *(("logits", None) if self.with_logits_ else (None, "logits")))
        return self.head_.probabilities({_BLOCK: x}, self._logits(logits, len(x)))

    def gain(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> FloatArray:
        """(n,) P(large right) - P(medium right), in [-1, 1]; arguments and errors as in `predict_proba`."""
        return _CELLS.gain(self.predict_proba(hidden, logits))

    def predict(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> NDArray[np.int64]:
        """(n, 2) the likelier outcome of either model, 1 where it is right."""
        p = self.predict_proba(hidden, logits)
        return np.column_stack([_CELLS.medium_right(p) > 0.5, _CELLS.large_right(p) > 0.5]).astype(np.int64)

    def _logits(self, logits: ArrayLike | None, n: int) -> NDArray[np.float64]:
        if logits is None:
            return np.zeros((n, len(POLICIES)))
        checked: NDArray[np.float64] = check_array(logits, dtype=np.float64, input_name="logits")
        if checked.shape != (n, len(POLICIES)):
            raise LengthMismatch("hidden x policies", n * len(POLICIES), "logits", checked.size)
        return checked


def _pair(medium: ArrayLike, large: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """(n, 2) outcomes of 0 and 1."""
    given = list(np.asarray(medium).T) if large is None else [medium, large]
    columns: list[NDArray[Any]] = [np.asarray(column) for column in given]
    names = ("medium_right", "large_right")
    if len(columns) != len(names):
        raise LengthMismatch("models", len(names), "columns of outcomes", len(columns))
    for name, column in zip(names, columns, strict=True):
        if column.shape != (n,):
            raise LengthMismatch("hidden", n, name, column.size)
        if len(bad := np.flatnonzero((column != 0) & (column != 1))):
            raise InvalidLabel(name, int(bad[0]), column[bad[0]])
    return np.column_stack(columns).astype(np.int64)
