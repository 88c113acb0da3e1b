"""OutcomeEstimator in scikit-learn's hands, and that it is the outcome head of the pipeline."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from routecal import OutcomeEstimator
from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.errors import InvalidLabel, LengthMismatch, OutOfRange

RNG = np.random.default_rng(0)
HIDDEN = RNG.normal(size=(600, 6))
MEDIUM = RNG.random(600) < 1 / (1 + np.exp(-2 * HIDDEN[:, 0]))
LARGE = RNG.random(600) < 1 / (1 + np.exp(-1 - 2 * HIDDEN[:, 1]))
LOGITS = np.column_stack([HIDDEN[:, 0], -HIDDEN[:, 0], np.zeros(600)])
TRUE_GAIN = 1 / (1 + np.exp(-1 - 2 * HIDDEN[:, 1])) - 1 / (1 + np.exp(-2 * HIDDEN[:, 0]))


def test_it_finds_the_gain_and_all_it_says_is_consistent() -> None:
    estimator = OutcomeEstimator().fit(HIDDEN[:400], MEDIUM[:400], LARGE[:400])
    p, gain = estimator.predict_proba(HIDDEN[400:]), estimator.gain(HIDDEN[400:])
    assert p.sum(axis=1) == pytest.approx(np.ones(200))
    assert gain == pytest.approx(p[:, 2] - p[:, 1])
    assert np.corrcoef(gain, TRUE_GAIN[400:])[0, 1] > 0.9
    assert (estimator.predict(HIDDEN[400:])[:, 0] == (p[:, 0] + p[:, 1] > 0.5)).all()
    for right, columns in ((MEDIUM, (0, 1)), (LARGE, (0, 2))):
        assert p[:, columns].sum(axis=1).mean() == pytest.approx(right[400:].mean(), abs=0.06)


def test_both_columns_at_once_are_the_same_targets() -> None:
    one = OutcomeEstimator().fit(HIDDEN, MEDIUM, LARGE, LOGITS)
    other = OutcomeEstimator().fit(HIDDEN, np.column_stack([MEDIUM, LARGE]), logits=LOGITS)
    assert np.array_equal(one.gain(HIDDEN, LOGITS), other.gain(HIDDEN, LOGITS))


def test_it_does_what_estimators_do() -> None:
    estimator = OutcomeEstimator(random_state=3)
    assert clone(estimator).get_params() == {"random_state": 3}
    with pytest.raises(NotFittedError):
        estimator.gain(HIDDEN)
    fitted = estimator.fit(HIDDEN, MEDIUM, LARGE)
    assert fitted.n_features_in_ == 6
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).gain(HIDDEN), fitted.gain(HIDDEN))
    with pytest.raises(ValueError, match="features"):
        fitted.gain(HIDDEN[:, :5])
    both = np.column_stack([MEDIUM, LARGE])
    predicted = cross_val_predict(OutcomeEstimator(), HIDDEN, both)
    assert (predicted == both).mean() > max(MEDIUM.mean(), 1 - MEDIUM.mean()) * 0.5 + LARGE.mean() * 0.5 + 0.05
    assert make_pipeline(StandardScaler(), OutcomeEstimator()).fit(HIDDEN, both).predict(HIDDEN).shape == (600, 2)


def test_another_seed_deals_other_folds() -> None:
    one, other = (OutcomeEstimator(random_state=seed).fit(HIDDEN, MEDIUM, LARGE).gain(HIDDEN) for seed in (0, 1))
    assert np.abs(one - other).max() > 0
    assert one == pytest.approx(other, abs=0.1)


@pytest.mark.parametrize(
    ("rows", "medium", "large", "logits", "error", "said"),
    [
        (9, MEDIUM[:9], LARGE[:9], None, OutOfRange, "at least 10"),
        (600, MEDIUM[:599], LARGE, None, LengthMismatch, "medium_right"),
        (600, MEDIUM, None, None, LengthMismatch, "columns of outcomes"),
        (600, MEDIUM.astype(float) * 2, LARGE, None, InvalidLabel, "medium_right"),
        (600, MEDIUM, LARGE, LOGITS[:, :2], LengthMismatch, "logits"),
        (600, MEDIUM, LARGE, LOGITS * np.nan, ValueError, "logits"),
    ],
    ids=["few rows", "short column", "one column", "no outcome", "two logits", "NaN"],
)
def test_what_does_not_fit_is_refused(
    rows: int, medium: np.ndarray, large: np.ndarray | None, logits: np.ndarray | None, error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        OutcomeEstimator().fit(HIDDEN[:rows], medium, large, logits)


def test_logits_are_needed_if_and_only_if_fit_had_them() -> None:
    with pytest.raises(FeatureMismatch):
        OutcomeEstimator().fit(HIDDEN, MEDIUM, LARGE).gain(HIDDEN, LOGITS)
    with pytest.raises(FeatureMismatch):
        OutcomeEstimator().fit(HIDDEN, MEDIUM, LARGE, LOGITS).gain(HIDDEN)
