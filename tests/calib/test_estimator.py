import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import routecal
from routecal import ConfidenceEstimator, Ensemble
from routecal.calib import recalibrate
from routecal.calib.checkpoint_errors import FeatureMismatch
from routecal.calib.errors import LengthMismatch, NotBinary, OutOfRange, UnknownName
from routecal.calib.examples import random_split
from routecal.calib.learn.cross_fit import Deal
from routecal.calib.learn.rewards import ImproperReward
from routecal.calib.metrics import auroc, brier
from routecal.calib.recalibrate import Identity
from tests.calib.made import examples

ROWS, FRESH = examples(800, seed=1), examples(2000, seed=2)
QUICK: dict[str, Any] = {"folds": 0, "hidden_units": 16, "sft_epochs": 15, "rl_epochs": 2, "sft_lr": 2e-2}
EXPECTED_FAILURES: dict[str, str] = {}  # check -> why it is right to fail; there is none


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@parametrize_with_checks(
    [
        ConfidenceEstimator(**{**QUICK, "folds": None}),
        ConfidenceEstimator(**QUICK, members=2, pca=1, recalibrator="platt"),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


def quick(**kw) -> ConfidenceEstimator:
    return ConfidenceEstimator(**{**QUICK, **kw})


def test_with_logits_it_beats_the_hidden_state_alone_and_the_base_rate():
    alone = quick().fit(ROWS.hidden, ROWS.y)
    both = quick().fit(ROWS.hidden, ROWS.y, ROWS.logits)
    p, q = both.predict_proba(FRESH.hidden, FRESH.logits)[:, 1], alone.predict_proba(FRESH.hidden)[:, 1]
    base = np.full(len(FRESH), ROWS.y.mean())
    assert brier(p, FRESH.y) < brier(q, FRESH.y) - 0.005
    assert brier(q, FRESH.y) < brier(base, FRESH.y) - 0.02
    assert auroc(p, FRESH.y) > 0.73
    assert both.score(FRESH.hidden, FRESH.y, FRESH.logits) == np.mean((p > 0.5) == FRESH.y)


def test_without_signal_it_says_the_base_rate():
    rng = np.random.default_rng(0)
    y = rng.random(1000) < 0.7
    p = ConfidenceEstimator(hidden_units=16).fit(rng.normal(size=(1000, 4)), y).confidence(rng.normal(size=(500, 4)))
    assert abs(p.mean() - 0.7) < 0.05
    assert p.std() < 0.1


def test_same_state_same_probabilities_and_no_global_generator_is_used():
    numpy_before, torch_before = pickle.dumps(np.random.get_state()), torch.random.get_rng_state()  # noqa: NPY002

    def p(random_state):
        return quick(random_state=random_state).fit(ROWS.hidden, ROWS.y).confidence(FRESH.hidden)

    np.testing.assert_array_equal(p(3), p(3))
    np.testing.assert_array_equal(p(np.random.RandomState(5)), p(np.random.RandomState(5)))
    assert (p(3) != p(4)).any()
    assert (p(None) != p(None)).any()
    assert pickle.dumps(np.random.get_state()) == numpy_before  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), torch_before)


def test_labels_may_be_anything_of_which_there_are_two():
    words = np.where(ROWS.y == 1, "right", "erring")
    named, plain = quick().fit(ROWS.hidden, words), quick().fit(ROWS.hidden, ROWS.y)
    assert named.classes_.tolist() == ["erring", "right"]
    np.testing.assert_array_equal(named.predict_proba(FRESH.hidden), plain.predict_proba(FRESH.hidden))
    assert set(named.predict(FRESH.hidden)) == {"erring", "right"}


def test_each_row_is_in_one_split_and_no_split_is_empty():
    for n in (3, 10, 1000):
        split = random_split(n, calibration=0.3, validation=0.2, seed=0)
        counts = {name: int((split == name).sum()) for name in ("train", "calibration", "validation")}
        assert sum(counts.values()) == n
        assert min(counts.values()) >= 1
    assert counts == {"train": 500, "calibration": 300, "validation": 200}


def test_the_recalibrator_is_the_one_asked_for_and_auto_chooses_on_held_out_rows():
    auto = quick().fit(ROWS.hidden, ROWS.y, ROWS.logits)
    plain = quick(recalibrator="identity").fit(ROWS.hidden, ROWS.y, ROWS.logits)
    assert plain.recalibrator_ == Identity()
    assert plain.recalibration_ == ()
    held_out = np.isin(random_split(len(ROWS), calibration=0.3, validation=0.2, seed=0), ["calibration", "validation"])
    raw = plain.confidence(ROWS.hidden[held_out], ROWS.logits[held_out])
    choice = recalibrate.choose_recalibrator(raw, ROWS.y[held_out], seed=0)
    assert (auto.recalibrator_, auto.recalibration_) == (choice.recalibrator, choice.table)


def test_cross_fitting_is_the_default_and_recalibrates_by_what_each_row_is_told_unseen():
    crossed = quick(folds=None).fit(ROWS.hidden, ROWS.y, ROWS.logits)
    assert (crossed.ensemble_.folds, crossed.ensemble_.members) == (5, 5)
    p, y = Deal.of(ROWS, seed=0).held_out(crossed.ensemble_)
    assert crossed.recalibrator_ == recalibrate.choose_recalibrator(p, y, seed=0).recalibrator
    one = quick().fit(ROWS.hidden, ROWS.y, ROWS.logits)
    on = FRESH.hidden, FRESH.logits
    assert brier(crossed.confidence(*on), FRESH.y) < brier(one.confidence(*on), FRESH.y)


def test_what_it_learned_can_be_shared_as_a_head_folder(tmp_path):
    estimator = quick(members=2, pca=3, router_outputs=True).fit(ROWS.hidden, ROWS.y, ROWS.logits)
    folder = estimator.ensemble_.save_pretrained(tmp_path, lineage={"training": estimator.get_params()})
    again = Ensemble.from_pretrained(folder)
    expected = estimator.confidence(FRESH.hidden, FRESH.logits)
    np.testing.assert_array_equal(again.confidence(FRESH.hidden, FRESH.logits), expected)
    assert again.lineage["training"]["members"] == 2
    assert estimator.spread(FRESH.hidden, FRESH.logits).max() > 0
    unpickled = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(unpickled.confidence(FRESH.hidden, FRESH.logits), expected)


def test_it_lives_in_pipelines_and_searches():
    piped = make_pipeline(StandardScaler(), quick()).fit(ROWS.hidden, ROWS.y)
    assert piped.predict_proba(FRESH.hidden).shape == (2000, 2)
    search = GridSearchCV(quick(sft_epochs=2), {"pca": [None, 2]}, scoring="neg_brier_score", cv=2)
    assert search.fit(ROWS.hidden, ROWS.y).best_params_["pca"] in (None, 2)
    p = cross_val_predict(quick(sft_epochs=2), ROWS.hidden, ROWS.y, method="predict_proba", cv=2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert clone(quick(pca=2)).get_params()["pca"] == 2


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"folds": 2}, OutOfRange, "folds = 2 is not allowed"),
        ({"calibration_fraction": 0.0}, OutOfRange, "calibration_fraction = 0.0 is not allowed"),
        ({"validation_fraction": 0.8}, OutOfRange, "leaves rows to train on"),
        ({"recalibrator": "wishful"}, UnknownName, "'wishful' is not a known recalibrator"),
        ({"reward": "applause"}, ValueError, "applause"),
        ({"pca": 7}, ValueError, "pca = 7 is not allowed; give at most 6, which is how wide the hidden states are"),
        ({"hidden_units": 0}, ValueError, "greater than or equal to 1"),
        ({"sft_lr": 0.0}, ValueError, "greater than 0"),
        ({"members": 0}, ValueError, "greater than or equal to 1"),
    ],
)
def test_hyperparameters_out_of_range_are_named(changes, error, said):
    with pytest.raises(error, match=said):
        quick(**changes).fit(ROWS.hidden, ROWS.y)


def test_arrays_that_do_not_fit_are_named():
    with pytest.raises(NotBinary, match="of one class"):
        quick().fit(ROWS.hidden, np.ones(800))
    with pytest.raises(LengthMismatch, match="hidden has 800 rows and logits has 799"):
        quick().fit(ROWS.hidden, ROWS.y, ROWS.logits[:-1])
    with pytest.raises(FeatureMismatch, match="router outputs = 'logits', these have None"):
        quick(router_outputs=True).fit(ROWS.hidden, ROWS.y)
    fitted = quick().fit(ROWS.hidden, ROWS.y, ROWS.logits)
    with pytest.raises(FeatureMismatch, match="router outputs = 'logits', these have None"):
        fitted.predict_proba(FRESH.hidden)
    with pytest.raises(FeatureMismatch, match="router outputs = None, these have 'logits'"):
        quick().fit(ROWS.hidden, ROWS.y).predict_proba(FRESH.hidden, FRESH.logits)
    with pytest.raises(NotFittedError):
        quick().spread(FRESH.hidden)
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(FRESH.hidden, np.full_like(FRESH.logits, np.nan))


def test_logits_are_routed_where_scikit_learn_routes_metadata():
    with config_context(enable_metadata_routing=True):
        asking = quick(sft_epochs=2).set_fit_request(logits=True).set_score_request(logits=True)
        search = GridSearchCV(asking, {"pca": [None, 2]}, cv=2).fit(ROWS.hidden, ROWS.y, logits=ROWS.logits)
    assert search.best_estimator_.with_logits_


def test_an_improper_reward_warns():
    with pytest.warns(ImproperReward):
        quick(reward="linear").fit(ROWS.hidden, ROWS.y, ROWS.logits)


def test_the_names_at_the_top_are_imported_when_they_are_asked_for():
    code = "import routecal, sys; assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert routecal.ConfidenceEstimator is ConfidenceEstimator
    with pytest.raises(AttributeError, match="no attribute 'Wishful'"):
        routecal.Wishful  # noqa: B018
