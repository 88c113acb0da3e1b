"""RL on sampled decisions climbs what it says it climbs, and its control is the same hill without the noise."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import log_softmax

from routecal.calib.outcome.fit import _trained_on, fit_outcome
from routecal.calib.outcome.multinomial import fit_multinomial, log_odds
from routecal.calib.outcome.utility_rl import UtilityConfig, _utility, train_on
from tests.calib.outcome.test_fit import CELLS, world

K = len(CELLS)


@pytest.mark.parametrize(("gain", "truth"), [(0.3, 1.0), (0.8, 0.0), (0.0, -1.0)])
def test_the_mean_utility_of_plug_in_decisions_is_the_squared_error_of_the_gain(gain: float, truth: float) -> None:
    integral, _ = quad(lambda price: truth - price if gain > price else 0.0, 0, 1, points=[gain])
    assert integral == pytest.approx(truth**2 / 2 - (truth - gain) ** 2 / 2)


def test_the_sampled_gradient_is_that_of_the_expected_reward() -> None:
    config = UtilityConfig(draws=10_000)
    gain = torch.tensor([-0.2, 0.1, 0.6], dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    _utility(gain, truth, config, torch.Generator().manual_seed(0)).backward()
    assert gain.grad is not None
    step = 1e-4

    def expected(g: float, t: float) -> float:
        return float(quad(lambda price: (t - price) / (1 + np.exp(-(g - price) / config.temperature)), 0, 1)[0])

    for i, (g, t) in enumerate(zip(gain.tolist(), truth.tolist(), strict=True)):
        slope = (expected(g + step, t) - expected(g - step, t)) / (2 * step)
        assert gain.grad[i].item() * 3 == pytest.approx(slope, abs=0.03)


@pytest.mark.parametrize("reward", ["utility", "squared_gain", "none"])
def test_a_start_that_is_off_is_mended_and_a_fit_is_not_spoilt(reward: str) -> None:
    hidden, _, cell, fold, _ = world(900, signal=1.5, router=0.0)
    x, offset, better = hidden.astype(np.float64), np.zeros((900, K)), np.subtract(CELLS.large, CELLS.medium)
    config, held = UtilityConfig(reward=reward, lr=2e-2, batch=200, epochs=12), fold == 0

    def loss(w: np.ndarray) -> float:
        log_p = log_softmax(log_odds(x[held], w, offset[held]), axis=1)
        off = np.exp(log_p) @ better - better[cell[held]]
        return float(-log_p[np.arange(held.sum()), cell[held]].mean() + (off**2).mean() / 2)

    taught = (x[~held], cell[~held], offset[~held])
    fitted = fit_multinomial(*taught, penalty=3.0)
    assert (
        loss(train_on(*taught, np.zeros_like(fitted), penalty=3.0, cells=CELLS, config=config)) < 1.4 < loss(0 * fitted)
    )
    after = loss(train_on(*taught, fitted, penalty=3.0, cells=CELLS, config=config))
    assert after == pytest.approx(loss(fitted), abs=0.02)


def test_the_reward_pulls_towards_the_gain() -> None:
    """With the proper score outweighed, the gain is what is learned; both forms of the reward learn the same."""
    hidden, _, cell, _, _ = world(900, signal=1.5, router=0.0)
    x, offset, better = hidden.astype(np.float64), np.zeros((900, K)), np.subtract(CELLS.large, CELLS.medium)
    start = np.zeros((x.shape[1] + 1, K))

    def gain(reward: str) -> np.ndarray:
        config = UtilityConfig(reward=reward, weight=20.0, lr=3e-2, draws=16, epochs=12, batch=100)
        w = train_on(x, cell, offset, start, penalty=3.0, cells=CELLS, config=config)
        return np.asarray(np.exp(log_softmax(log_odds(x, w, offset), axis=1)) @ better)

    sampled, exact, plain = gain("utility"), gain("squared_gain"), gain("none")
    off = better[cell]
    assert ((exact - off) ** 2).mean() < ((plain - off) ** 2).mean()
    positive = exact > 0.1  # where the price, which is drawn from [0, 1], has a say
    assert np.corrcoef(sampled[positive], exact[positive])[0, 1] > 0.9


def test_the_same_seed_decides_alike_and_another_otherwise() -> None:
    hidden, _, cell, _, _ = world(300, signal=1.5, router=0.0)

    def weights(seed: int) -> np.ndarray:
        rows = (hidden.astype(np.float64), cell, np.zeros((300, K)), np.zeros((hidden.shape[1] + 1, K)))
        return train_on(*rows, penalty=3.0, cells=CELLS, config=UtilityConfig(seed=seed, epochs=1, lr=1e-2))

    assert np.array_equal(weights(0), weights(0))
    assert not np.array_equal(weights(0), weights(1))


def test_a_regression_is_not_trained_on_by_the_fold_that_it_judges() -> None:
    hidden, _, cell, fold, _ = world(300, signal=1.0, router=0.0)
    x, offsets = hidden.astype(np.float64), [np.zeros((300, K))] * 5
    start = [np.zeros((hidden.shape[1] + 1, K))] * 5
    one, other = (
        _trained_on(x, outcomes, fold, offsets, start, 3.0, CELLS, UtilityConfig(epochs=1))
        for outcomes in (cell, np.where(fold == 2, (cell + 1) % K, cell))
    )
    assert [np.array_equal(a, b) for a, b in zip(one, other, strict=True)] == [False, False, True, False, False]


def test_a_head_can_be_fitted_with_it() -> None:
    hidden, logits, cell, fold, _ = world(300, signal=1.0, router=0.0)
    plain, trained = (
        fit_outcome({"a": hidden}, logits, cell, fold, CELLS, decisions=one).head.probabilities({"a": hidden}, logits)
        for one in (None, UtilityConfig(lr=1e-4, epochs=2))
    )
    assert 0 < np.abs(plain - trained).max() < 0.05
