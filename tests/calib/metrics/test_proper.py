import numpy as np
import pytest
from sklearn import metrics as reference

from routecal.calib.metrics.proper import brier, brier_skill, log_loss

RNG = np.random.default_rng(0)
P = RNG.random(200)
Y = (RNG.random(200) < P).astype(float)


def test_agree_with_scikit_learn():
    assert brier(P, Y) == pytest.approx(reference.brier_score_loss(Y, P), abs=1e-12)
    assert log_loss(P, Y) == pytest.approx(reference.log_loss(Y, P), abs=1e-12)


def test_a_confident_mistake_costs_the_clip():
    assert log_loss([1.0], [0]) == pytest.approx(-np.log(1e-6))
    assert log_loss([0.0], [0]) == pytest.approx(1e-6, rel=1e-3)


def test_skill_is_relative_to_the_base_rate():
    # base rate 3/4: constant scores 3/16; p scores (.0 + .0 + .25 + .25)/4 = 1/8
    assert brier_skill([1.0, 1.0, 0.5, 0.5], [1, 1, 1, 0]) == pytest.approx(1 - (1 / 8) / (3 / 16))


def test_skill_is_undefined_with_one_class():
    assert brier_skill([0.9, 0.8], [1, 1]) is None


@pytest.mark.parametrize("score", [brier, log_loss])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_are_proper(score, q):
    n = 1000
    y = np.arange(n) < q * n
    grid = np.linspace(0, 1, 101)
    assert grid[np.argmin([score(np.full(n, p), y) for p in grid])] == pytest.approx(q)
