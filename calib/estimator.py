"""The whole method as one scikit-learn classifier: arrays in, calibrated probabilities out."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from routecal.calib import recalibrate
from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch, NotBinary
from routecal.calib.examples import Examples, random_split
from routecal.calib.learn import recipe
from routecal.calib.learn.cross_fit import Deal
from routecal.calib.learn.recipe import Recipe
from routecal.calib.learn.rl import RLConfig
from routecal.calib.learn.sft import SFTConfig

# Without router logits the head starts from a constant and has all to learn; the loops' own rates are for small
# corrections of a router that is right most of the time.
LR_FROM_NOTHING = 1e-3


class ConfidenceEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """P(decision is right | hidden state, logits): SFT, RL on a proper reward, and the chosen recalibrator.

        deal rows to folds at random -> for every fold: SFT -> RL, stopped early by that fold -> the heads' mean
        -> recalibrator, on what each row is told by the head that left it out

    The steps and defaults are those of `routecal train`. Rows are dealt one by one: where several rows are versions of
    one query, hand over one of them.

    `fit` takes no sample weights and no class weights: a head trained on reweighted rows is not calibrated.

    When it lies: below a few hundred rows the splits are small, and what comes out is little more than the Platt-scaled
    router (with logits) or the base rate (without). Probabilities are calibrated for rows like those of `fit` only.

    Args:
        hidden_units: of the MLP's hidden layer.
        dropout: fraction of hidden units dropped in training, in [0, 1).
        residual: start from the calibrated router logit; without logits, from the base rate.
        pca: whitened principal components of the hidden state to read; None: all of it.
        router_outputs: the MLP reads the router's sorted log probabilities as well; needs logits.
        folds: of the cross-fitting; None: 5 from 100 to 20,000 rows, else 0 (`calib.learn.cross_fit.n_folds`); with 0
            one part of the rows trains, one calibrates and one validates.
        members: heads per fold, of different seeds.
        sft_epochs, rl_epochs: passes at most; 0 leaves a stage out.
        sft_lr, rl_lr: learning rates; None: the loops' own with logits, `LR_FROM_NOTHING` (SFT) without.
        reward: key of `calib.learn.rewards`.
        batch: rows per step; None: the loops' own.
        patience: epochs without a better validation Brier score before stopping.
        recalibrator: key of `calib.recalibrate.RECALIBRATORS`; "auto": chosen by cross-validated log loss.
        calibration_fraction, validation_fraction: of the rows, without folds; the rest trains. At least one row each.
        random_state: seed of split, weights, shuffling, dropout and draws; None: another one in every `fit`. NumPy's
            global generator is never used.

    Attributes:
        classes_: the two labels, sorted; the second means right.
        n_features_in_: width of `hidden`.
        ensemble_: the fitted heads, in float64; `ensemble_.save_pretrained(folder)` keeps the recalibrator with them.
        recalibrator_: what is applied to their mean, also in `ensemble_.confidence`.
        recalibration_: the table it was chosen by; empty where there was no choice.
        with_logits_: whether `fit` was given logits; `predict_proba` then needs them too.

    >>> rng = np.random.default_rng(0)
    >>> hidden = rng.normal(size=(400, 3))
    >>> right = rng.random(400) < 1 / (1 + np.exp(-3 * hidden[:, 0]))
    >>> estimator = ConfidenceEstimator(hidden_units=16, sft_lr=0.01, rl_epochs=2).fit(hidden, right)
    >>> low, high = estimator.predict_proba([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])[:, 1]
    >>> bool(low < 0.1), bool(high > 0.8)
    (True, True)
    """

    def __init__(
        self,
        *,
        hidden_units: int = 128,
        dropout: float = 0.1,
        residual: bool = True,
        pca: int | None = None,
        router_outputs: bool = False,
        folds: int | None = None,
        members: int = 1,
        sft_epochs: int = 50,
        rl_epochs: int = 30,
        sft_lr: float | None = None,
        rl_lr: float | None = None,
        reward: str = "brier",
        batch: int | None = None,
        patience: int = 5,
        recalibrator: str = "auto",
        calibration_fraction: float = 0.3,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.residual = residual
        self.pca = pca
        self.router_outputs = router_outputs
        self.folds = folds
        self.members = members
        self.sft_epochs = sft_epochs
        self.rl_epochs = rl_epochs
        self.sft_lr = sft_lr
        self.rl_lr = rl_lr
        self.reward = reward
        self.batch = batch
        self.patience = patience
        self.recalibrator = recalibrator
        self.calibration_fraction = calibration_fraction
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Two classes, dense finite numbers."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, hidden: ArrayLike, y: ArrayLike, logits: ArrayLike | None = None) -> Self:
        """Train on labelled rows.

        Args:
            hidden: (n, d) finite numbers, the router's hidden state; layers and poolings side by side if several.
            y: (n,) two labels; the larger means that the decision was right (1, True).
            logits: (n, c) finite numbers, the router's logits; None: the hidden state is all there is.

        Raises:
            NotBinary: y holds one class, or more than two.
            OutOfRange, ValueError: a hyperparameter or an array is not what it should be; the message says which.
            Collapsed: training drove every confidence to one value.
        """
        checked, labels = validate_data(self, hidden, y, dtype=np.float32)
        right = self._encoded(labels)
        self.with_logits_ = logits is not None
        if self.router_outputs and logits is None:
            raise FeatureMismatch("router outputs", "logits", None)
        seed = self._seed()
        rows = Examples(
            hidden=checked,
            logits=self._checked_logits(logits, len(checked)),
            policy=np.zeros(len(checked), np.int64),
            true_policy=np.where(right, 0, 1),
            split=random_split(
                len(checked), calibration=self.calibration_fraction, validation=self.validation_fraction, seed=seed
            ),
        )
        deal = Deal.of(rows, folds=self.folds, seed=seed)
        self.ensemble_ = recipe.fit(self._recipe(), deal, seed=seed)
        for head in self.ensemble_.heads:
            head.double()  # in float32 a row's last digits depend on the rows beside it
        p, outcome = deal.held_out(self.ensemble_)
        if self.recalibrator == "auto":
            choice = recalibrate.choose_recalibrator(p, outcome, seed=seed)
            self.recalibrator_, self.recalibration_ = choice.recalibrator, choice.table
        else:
            self.recalibrator_, self.recalibration_ = recalibrate.get_recalibrator(self.recalibrator)(p, outcome), ()
        self.ensemble_.recalibrator = self.recalibrator_
        return self

    def confidence(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> FloatArray:
        """P(right), (n,) in [0, 1].

        Args:
            hidden: (n, d).
            logits: (n, c), if and only if `fit` had them.

        Raises:
            FeatureMismatch: logits are missing, or were not there in `fit`.
            NotFittedError, ValueError: as everywhere in scikit-learn.
        """
        features = self._features(hidden, logits)
        return self.ensemble_.confidence(*features)

    def spread(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> FloatArray:
        """(n,) standard deviation of the members' probabilities, see `Ensemble.spread`; 0 with one member."""
        features = self._features(hidden, logits)
        return self.ensemble_.spread(*features)

    def predict_proba(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> FloatArray:
        """(n, 2): P(wrong), P(right); columns in the order of `classes_`. Arguments and errors as in `confidence`."""
        p = self.confidence(hidden, logits)
        return np.column_stack([1 - p, p])

    def predict(self, hidden: ArrayLike, logits: ArrayLike | None = None) -> NDArray[Any]:
        """(n,) the likelier label; the first of `classes_` at p = .5."""
        p = self.confidence(hidden, logits)
        labels: NDArray[Any] = self.classes_[(p > 0.5).astype(int)]
        return labels

    def score(self, hidden: ArrayLike, y: ArrayLike, logits: ArrayLike | None = None) -> float:
        """Accuracy of `predict`, as every classifier's `score`; it says nothing about calibration (`calib.metrics`)."""
        return float(np.mean(self.predict(hidden, logits) == np.asarray(y)))

    def _recipe(self) -> Recipe:
        from_nothing = self.sft_lr is None and not (self.with_logits_ and self.residual)
        return Recipe(
            hidden_units=self.hidden_units,
            dropout=self.dropout,
            residual=self.residual,
            pca=self.pca,
            router_outputs=self.router_outputs,
            folds=self.folds,
            members=self.members,
            first=SFTConfig(**self._loop(self.sft_epochs, LR_FROM_NOTHING if from_nothing else self.sft_lr)),
            second=RLConfig.model_validate({**self._loop(self.rl_epochs, self.rl_lr), "reward": self.reward}),
        )

    def _encoded(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        check_classification_targets(y)
        if (kind := type_of_target(y, input_name="y", raise_unknown=True)) != "binary":
            raise NotBinary(kind)
        self.classes_ = np.unique(y)
        if len(self.classes_) == 1:
            raise NotBinary(f"of one class ({self.classes_[0]}), so there is nothing to tell apart")
        return np.asarray(y == self.classes_[1])

    def _features(self, hidden: ArrayLike, logits: ArrayLike | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        check_is_fitted(self)
        checked = validate_data(self, hidden, dtype=np.float32, reset=False)
        if (logits is not None) != self.with_logits_:
            there, here = ("logits", None) if self.with_logits_ else (None, "logits")
            raise FeatureMismatch("router outputs", there, here)
        return checked, self._checked_logits(logits, len(checked))

    def _checked_logits(self, logits: ArrayLike | None, n: int) -> NDArray[np.float32]:
        if logits is None:
            return np.zeros((n, 2), np.float32)  # odds of 1: Platt's intercept makes the base rate of them
        checked: NDArray[np.float32] = check_array(logits, dtype=np.float32, ensure_min_features=2, input_name="logits")
        if len(checked) != n:
            raise LengthMismatch("hidden", n, "logits", len(checked))
        return checked

    def _seed(self) -> int:
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0])
        if isinstance(self.random_state, np.random.RandomState):
            return int(self.random_state.randint(2**31))
        return int(self.random_state)

    def _loop(self, epochs: int, lr: float | None) -> dict[str, Any]:
        asked = {"epochs": epochs, "lr": lr, "batch": self.batch, "patience": self.patience}
        return {name: value for name, value in asked.items() if value is not None}
