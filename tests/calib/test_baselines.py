import numpy as np
import pytest
from scipy.special import softmax

from calib import baselines
from calib.errors import TooFewExamples, UnknownName
from calib.examples import Examples
from tests.calib.made import examples

ROWS = examples(50)


def with_logits(logits, true_policy) -> Examples:
    logits, true_policy = np.array(logits, np.float32), np.array(true_policy)
    return Examples(
        np.zeros((len(logits), 1), np.float32), logits, logits.argmax(1), true_policy, np.full(len(logits), "")
    )


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_predictors_give_one_probability_per_row_and_compare_equal(name):
    fit = baselines.get(name)
    p = fit(ROWS)(ROWS)
    assert p.shape == (50,)
    assert ((p >= 0) & (p <= 1)).all()
    assert fit(ROWS) == fit(ROWS)


def test_constant_is_the_base_rate():
    assert baselines.constant(ROWS)(ROWS)[0] == pytest.approx(ROWS.y.mean())


def test_max_prob_and_entropy_by_hand():
    even, sure, half = [0.0, 0.0, 0.0], [1e4, 0.0, 0.0], [0.0, 0.0, -1e4]
    rows = with_logits([even, sure, half], [0, 0, 0])
    assert baselines.max_prob(rows)(rows) == pytest.approx([1 / 3, 1, 1 / 2])
    assert baselines.entropy(rows)(rows) == pytest.approx([0, 1, 1 - np.log(2) / np.log(3)], abs=1e-12)


def test_temperature_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    cumulative = softmax(logits / 2.5, axis=1).cumsum(axis=1)
    true_policy = (rng.random((20_000, 1)) > cumulative).sum(axis=1).clip(0, 2)
    assert baselines.temperature(with_logits(logits, true_policy)).temperature == pytest.approx(2.5, rel=0.05)


def test_an_empty_split_and_unknown_names_are_refused():
    empty = ROWS.only("test")
    for fit in (baselines.constant, baselines.temperature):
        with pytest.raises(TooFewExamples):
            fit(empty)
    with pytest.raises(UnknownName, match="constant, entropy, max_prob, temperature"):
        baselines.get("margin")
