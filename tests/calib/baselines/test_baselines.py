"""What holds for every baseline, and what each of them is for."""

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import numpy as np
import pytest
from scipy.special import logit, softmax
from sklearn.linear_model import LogisticRegression

from routecal.calib import baselines
from routecal.calib.baselines.logistic import Probe
from routecal.calib.baselines.router_outputs import HIGHEST, LOWEST, statistic
from routecal.calib.errors import ColumnMissing, InvalidProbability, TooFewExamples
from routecal.calib.examples import Examples
from routecal.calib.metrics import auroc, brier, log_loss
from tests.calib.made import examples

NAMES = pytest.mark.parametrize("name", baselines.BASELINES)


def asked(rows: Examples, seed: int = 0) -> Examples:
    """The rows with a word of the router's own that leans the right way, too loudly."""
    noise = np.random.default_rng(seed).normal(0, 3, len(rows))
    return replace(rows, verbal=(1 / (1 + np.exp(-(3 + 2 * rows.y + noise)))).astype(np.float32))


LABELLED, FRESH = asked(examples(400, seed=1)), asked(examples(4000, seed=2), seed=1)


def with_logits(logits, true_policy) -> Examples:
    logits, true_policy = np.array(logits, np.float32), np.array(true_policy)
    return Examples(
        np.zeros((len(logits), 1), np.float32), logits, logits.argmax(1), true_policy, np.full(len(logits), "")
    )


@pytest.fixture(scope="module")
def fitted() -> dict[str, baselines.Predictor]:
    return {name: fit(LABELLED, seed=0) for name, fit in baselines.BASELINES.items()}


@pytest.fixture(scope="module")
def said(fitted) -> dict[str, np.ndarray]:
    """p of every baseline on fresh rows."""
    return {name: predictor(FRESH) for name, predictor in fitted.items()}


@NAMES
def test_one_probability_per_row(name, said):
    assert said[name].shape == (len(FRESH),)
    assert said[name].dtype == np.float64
    assert ((said[name] >= 0) & (said[name] <= 1)).all()


@NAMES
def test_same_seed_same_predictor(name, said):
    np.testing.assert_array_equal(baselines.BASELINES[name](LABELLED, seed=0)(FRESH), said[name])


@NAMES
def test_predictors_are_frozen_and_see_each_row_alone(name, fitted, said):
    predictor = fitted[name]
    assert is_dataclass(predictor)
    with pytest.raises(FrozenInstanceError):
        setattr(predictor, fields(predictor)[0].name, None)
    some = np.arange(len(FRESH)) % 7 == 3
    np.testing.assert_allclose(predictor(FRESH.where(some)), said[name][some], atol=1e-12)


@NAMES
def test_labels_of_the_rows_asked_about_are_not_looked_at(name, fitted, said):
    turned = replace(FRESH, true_policy=np.random.default_rng(0).permutation(FRESH.true_policy))
    np.testing.assert_array_equal(fitted[name](turned), said[name])


@NAMES
@pytest.mark.parametrize("n", [1, 8, 60])
def test_few_rows_of_one_class_are_no_reason_to_fail(name, n):
    rows = LABELLED.where(np.arange(len(LABELLED)) < n)
    right = replace(rows, true_policy=rows.policy)
    for labelled in (rows, right):
        p = baselines.BASELINES[name](labelled)(FRESH)
        assert ((p >= 0) & (p <= 1)).all()


@NAMES
def test_one_dimension_and_many_ties(name):
    rows = replace(LABELLED, hidden=np.zeros((len(LABELLED), 1), np.float32), logits=np.zeros_like(LABELLED.logits))
    p = baselines.BASELINES[name](rows)(rows)
    assert np.isfinite(p).all()


def test_the_global_generators_are_left_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    for name in ("probe", "boosting"):
        baselines.BASELINES[name](LABELLED)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_each_beats_what_it_should(said):
    score = {name: brier(p, FRESH.y) for name, p in said.items()}
    # half of the signal is in the logits, half in one direction of the hidden state
    for statistic_name in ("max_prob", "margin", "entropy"):
        assert score[f"{statistic_name}_platt"] < min(score[statistic_name], score["constant"]) - 0.001
    for learned in ("probe", "neighbours", "boosting"):
        assert score[learned] < score["constant"] - 0.004
    assert score["probe_with_logit"] < min(score["probe"], score["max_prob_platt"]) - 0.002
    assert score["verbal_platt"] < min(score["verbal"], score["constant"]) - 0.004
    # ranking is not touched by Platt, where it keeps the form
    assert auroc(said["verbal_platt"], FRESH.y) == pytest.approx(auroc(said["verbal"], FRESH.y), abs=1e-6)


def test_learned_baselines_are_calibrated(said):
    for name in ("probe", "probe_with_logit", "neighbours", "boosting"):
        assert said[name].mean() == pytest.approx(FRESH.y.mean(), abs=0.05)


def test_a_router_that_knows_nothing_leaves_the_constant():
    rng = np.random.default_rng(0)
    rows = replace(LABELLED, true_policy=rng.permutation((LABELLED.policy + (rng.random(400) < 0.3)) % 3))
    fresh = replace(FRESH, true_policy=rng.permutation((FRESH.policy + (rng.random(4000) < 0.3)) % 3))
    least = log_loss(baselines.constant(rows)(fresh), fresh.y)
    for name in ("max_prob_platt", "probe", "probe_with_logit", "neighbours", "boosting"):
        assert log_loss(baselines.BASELINES[name](rows)(fresh), fresh.y) < least + 0.01


def test_constant_is_the_base_rate():
    assert baselines.constant(LABELLED)(FRESH)[0] == pytest.approx(LABELLED.y.mean())


def test_raw_statistics_by_hand():
    even, sure, half = [0.0, 0.0, 0.0], [1e4, 0.0, 0.0], [0.0, 0.0, -1e4]
    rows = with_logits([even, sure, half], [0, 0, 0])
    assert baselines.max_prob(rows)(rows) == pytest.approx([1 / 3, 1, 1 / 2])
    assert baselines.margin(rows)(rows) == pytest.approx([0, 1, 0])
    assert baselines.entropy(rows)(rows) == pytest.approx([0, 1, 1 - np.log(2) / np.log(3)], abs=1e-12)
    assert statistic(rows, "margin", form="log_odds") == pytest.approx([LOWEST, HIGHEST, LOWEST])


@pytest.mark.parametrize("name", ["max_prob", "margin", "entropy"])
def test_log_odds_are_those_of_the_value_and_outlast_it(name):
    assert statistic(LABELLED, name, form="log_odds") == pytest.approx(logit(statistic(LABELLED, name)), abs=1e-6)
    saturated = with_logits([[20.0, 0.0, 0.0], [22.0, 0.0, 0.0], [25.0, 0.0, 0.0]], [0, 0, 0])
    assert (np.diff(statistic(saturated, name, form="log_odds")) > 1.5).all()


def test_a_saturated_router_is_read_by_its_log_odds():
    loud = replace(LABELLED, logits=LABELLED.logits * 40)
    found = baselines.max_prob_platt(loud)
    assert found.form == "log_odds"
    assert found.slope < 0.1
    fresh = replace(FRESH, logits=FRESH.logits * 40)
    assert auroc(found(fresh), fresh.y) > 0.58


def test_temperature_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    cumulative = softmax(logits / 2.5, axis=1).cumsum(axis=1)
    true_policy = (rng.random((20_000, 1)) > cumulative).sum(axis=1).clip(0, 2)
    assert baselines.temperature(with_logits(logits, true_policy)).temperature == pytest.approx(2.5, rel=0.05)


def test_probe_is_a_regularised_logistic_regression():
    found = baselines.probe(LABELLED)
    assert isinstance(found, baselines.Recalibrated)
    assert isinstance(found.predictor, Probe)
    x = found.predictor.hidden(LABELLED.hidden)
    assert x.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-6)
    # at its minimum the L2 penalty's gradient is parallel to that of the log loss, with one factor 1/C for all weights
    pull = (LABELLED.y - found.predictor(LABELLED)) @ x
    factor = pull @ found.predictor.weights / np.square(found.predictor.weights).sum()
    reference = LogisticRegression(C=1 / factor, tol=1e-8).fit(x, LABELLED.y)
    assert found.predictor.weights == pytest.approx(reference.coef_[0], abs=2e-3)
    assert np.abs(found.predictor.weights).argmax() == 0


def test_verbal_is_what_the_router_said():
    assert baselines.verbal(LABELLED)(LABELLED) == pytest.approx(LABELLED.verbal)
    silent = replace(LABELLED, verbal=None)
    for fit in (baselines.verbal, baselines.verbal_platt):
        with pytest.raises(ColumnMissing, match="no 'verbal'; extract them again"):
            fit(silent)
    with pytest.raises(InvalidProbability, match="verbal"):
        baselines.verbal(replace(LABELLED, verbal=LABELLED.verbal * 3))
    assert baselines.usable(LABELLED) == tuple(baselines.BASELINES)
    assert baselines.usable(silent) == tuple(n for n in baselines.BASELINES if not n.startswith("verbal"))


def test_no_rows_are_refused():
    empty = LABELLED.only("test")
    for name in set(baselines.BASELINES) - {"max_prob", "margin", "entropy"}:
        with pytest.raises((TooFewExamples, ColumnMissing)):
            baselines.BASELINES[name](empty)
